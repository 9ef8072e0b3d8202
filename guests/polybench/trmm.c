// B = alpha A' B, where A is a lower triangle with ones on its diagonal.

#include "polybench.h"

enum {
    M = SIZE(20, 60, 200, 1000, 2000),
    N = SIZE(30, 80, 240, 1200, 2600),
};

static void kernel(double alpha, double a[M][M], double b[M][N]) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            for (int k = i + 1; k < M; k++)
                b[i][j] += a[k][i] * b[k][j];
            b[i][j] = alpha * b[i][j];
        }
}

uint64_t trmm(void) {
    double(*a)[M] = array(M, sizeof *a);
    double(*b)[N] = array(M, sizeof *b);
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < i; j++)
            a[i][j] = part(i + j, M);
        a[i][i] = 1;
        for (size_t j = 0; j < N; j++)
            b[i][j] = part(N + i - j, N);
    }
    start();
    kernel(1.5, a, b);
    stop();
    return sum_doubles(0, b, M * N);
}
