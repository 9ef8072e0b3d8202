// A x = b, by A = L U and substitution forward and back.

#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double a[N][N], double b[N], double x[N], double y[N]) {
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            double w = a[i][j];
            for (int k = 0; k < j; k++)
                w -= a[i][k] * a[k][j];
            a[i][j] = w / a[j][j];
        }
        for (int j = i; j < N; j++) {
            double w = a[i][j];
            for (int k = 0; k < i; k++)
                w -= a[i][k] * a[k][j];
            a[i][j] = w;
        }
    }
    for (int i = 0; i < N; i++) {
        double w = b[i];
        for (int j = 0; j < i; j++)
            w -= a[i][j] * y[j];
        y[i] = w;
    }
    for (int i = N - 1; i >= 0; i--) {
        double w = y[i];
        for (int j = i + 1; j < N; j++)
            w -= a[i][j] * x[j];
        x[i] = w / a[i][i];
    }
}

uint64_t ludcmp(void) {
    double(*a)[N] = array(N, sizeof *a);
    double *b = array(N, sizeof *b);
    double *x = array(N, sizeof *x);
    double *y = array(N, sizeof *y);
    for (size_t i = 0; i < N; i++) {
        b[i] = part(i + 1, N) / 2 + 4;
        for (size_t j = 0; j < N; j++)
            a[i][j] = dominant(i, j, N);
    }
    start();
    kernel(a, b, x, y);
    stop();
    return sum_doubles(0, x, N);
}
