// y = A' (A x).

#include "polybench.h"

enum {
    M = SIZE(38, 116, 390, 1900, 1800),
    N = SIZE(42, 124, 410, 2100, 2200),
};

static void kernel(double a[M][N], double x[N], double y[N], double tmp[M]) {
    for (int i = 0; i < N; i++)
        y[i] = 0;
    for (int i = 0; i < M; i++) {
        tmp[i] = 0;
        for (int j = 0; j < N; j++)
            tmp[i] += a[i][j] * x[j];
        for (int j = 0; j < N; j++)
            y[j] += a[i][j] * tmp[i];
    }
}

uint64_t atax(void) {
    double(*a)[N] = array(M, sizeof *a);
    double *x = array(N, sizeof *x);
    double *y = array(N, sizeof *y);
    double *tmp = array(M, sizeof *tmp);
    for (size_t i = 0; i < N; i++)
        x[i] = 1 + part(i, N);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++)
            a[i][j] = part(i + j, N) / 5;
    start();
    kernel(a, x, y, tmp);
    stop();
    return sum_doubles(0, y, N);
}
