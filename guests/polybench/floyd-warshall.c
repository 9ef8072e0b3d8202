// The lengths of the shortest paths between all pairs of nodes.

#include "polybench.h"

enum { N = SIZE(60, 180, 500, 2800, 5600) };

static void kernel(int path[N][N]) {
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                path[i][j] = path[i][j] < path[i][k] + path[k][j] ? path[i][j]
                                                                  : path[i][k] + path[k][j];
}

uint64_t floyd_warshall(void) {
    int(*path)[N] = array(N, sizeof *path);
    // Some pairs have no edge, which is one that is longer than all paths.
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            int none = (i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0;
            path[i][j] = none ? 999 : (int)(i * j % 7 + 1);
        }
    start();
    kernel(path);
    stop();
    return sum_ints(0, path, N * N);
}
