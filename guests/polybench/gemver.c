// A += u1 v1' + u2 v2', then x = beta A' y + z and w = alpha A x.

#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double alpha, double beta, double a[N][N], double u1[N], double v1[N],
                   double u2[N], double v2[N], double w[N], double x[N], double y[N],
                   double z[N]) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = a[i][j] + u1[i] * v1[j] + u2[i] * v2[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x[i] = x[i] + beta * a[j][i] * y[j];
    for (int i = 0; i < N; i++)
        x[i] = x[i] + z[i];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            w[i] = w[i] + alpha * a[i][j] * x[j];
}

uint64_t gemver(void) {
    double(*a)[N] = array(N, sizeof *a);
    double *u1 = array(N, sizeof *u1);
    double *v1 = array(N, sizeof *v1);
    double *u2 = array(N, sizeof *u2);
    double *v2 = array(N, sizeof *v2);
    double *w = array(N, sizeof *w);
    double *x = array(N, sizeof *x);
    double *y = array(N, sizeof *y);
    double *z = array(N, sizeof *z);
    for (size_t i = 0; i < N; i++) {
        double at = part(i, N);
        u1[i] = at;
        u2[i] = at / 2;
        v1[i] = at / 4;
        v2[i] = at / 6;
        y[i] = at / 8;
        z[i] = at / 9;
        for (size_t j = 0; j < N; j++)
            a[i][j] = part(i * j, N);
    }
    start();
    kernel(1.5, 1.2, a, u1, v1, u2, v2, w, x, y, z);
    stop();
    return sum_doubles(0, w, N);
}
