// y = alpha A x + beta B x.

#include "polybench.h"

enum { N = SIZE(30, 90, 250, 1300, 2800) };

static void kernel(double alpha, double beta, double a[N][N], double b[N][N], double tmp[N],
                   double x[N], double y[N]) {
    for (int i = 0; i < N; i++) {
        tmp[i] = 0;
        y[i] = 0;
        for (int j = 0; j < N; j++) {
            tmp[i] = a[i][j] * x[j] + tmp[i];
            y[i] = b[i][j] * x[j] + y[i];
        }
        y[i] = alpha * tmp[i] + beta * y[i];
    }
}

uint64_t gesummv(void) {
    double(*a)[N] = array(N, sizeof *a);
    double(*b)[N] = array(N, sizeof *b);
    double *tmp = array(N, sizeof *tmp);
    double *x = array(N, sizeof *x);
    double *y = array(N, sizeof *y);
    for (size_t i = 0; i < N; i++) {
        x[i] = part(i, N);
        for (size_t j = 0; j < N; j++) {
            a[i][j] = part(i * j + 1, N);
            b[i][j] = part(i * j + 2, N);
        }
    }
    start();
    kernel(1.5, 1.2, a, b, tmp, x, y);
    stop();
    return sum_doubles(0, y, N);
}
