// Heat in a cube, step by step from one array to the other and back.

#include "polybench.h"

enum {
    TSTEPS = SIZE(20, 40, 100, 500, 1000),
    N = SIZE(10, 20, 40, 120, 200),
};

static inline void step(double to[N][N][N], double from[N][N][N]) {
    for (int i = 1; i < N - 1; i++)
        for (int j = 1; j < N - 1; j++)
            for (int k = 1; k < N - 1; k++)
                to[i][j][k] =
                    0.125 * (from[i + 1][j][k] - 2 * from[i][j][k] + from[i - 1][j][k]) +
                    0.125 * (from[i][j + 1][k] - 2 * from[i][j][k] + from[i][j - 1][k]) +
                    0.125 * (from[i][j][k + 1] - 2 * from[i][j][k] + from[i][j][k - 1]) +
                    from[i][j][k];
}

static void kernel(double a[N][N][N], double b[N][N][N]) {
    for (int t = 1; t <= TSTEPS; t++) {
        step(b, a);
        step(a, b);
    }
}

uint64_t heat_3d(void) {
    double(*a)[N][N] = array(N, sizeof *a);
    double(*b)[N][N] = array(N, sizeof *b);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            for (size_t k = 0; k < N; k++)
                a[i][j][k] = b[i][j][k] = (double)(i + j + N - k) * 10 / N;
    start();
    kernel(a, b);
    stop();
    return sum_doubles(0, a, N * N * N);
}
