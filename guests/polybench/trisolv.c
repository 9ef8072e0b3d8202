// L x = b, where L is a lower triangle.

#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double l[N][N], double x[N], double b[N]) {
    for (int i = 0; i < N; i++) {
        x[i] = b[i];
        for (int j = 0; j < i; j++)
            x[i] -= l[i][j] * x[j];
        x[i] = x[i] / l[i][i];
    }
}

uint64_t trisolv(void) {
    double(*l)[N] = array(N, sizeof *l);
    double *x = array(N, sizeof *x);
    double *b = array(N, sizeof *b);
    for (size_t i = 0; i < N; i++) {
        b[i] = 1 + part(i, N);
        for (size_t j = 0; j <= i; j++)
            l[i][j] = dominant(i, j, N);
    }
    start();
    kernel(l, x, b);
    stop();
    return sum_doubles(0, x, N);
}
