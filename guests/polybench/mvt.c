// x1 += A y1 and x2 += A' y2.

#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double x1[N], double x2[N], double y1[N], double y2[N], double a[N][N]) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x1[i] += a[i][j] * y1[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x2[i] += a[j][i] * y2[j];
}

uint64_t mvt(void) {
    double *x1 = array(N, sizeof *x1);
    double *x2 = array(N, sizeof *x2);
    double *y1 = array(N, sizeof *y1);
    double *y2 = array(N, sizeof *y2);
    double(*a)[N] = array(N, sizeof *a);
    for (size_t i = 0; i < N; i++) {
        x1[i] = part(i, N);
        x2[i] = part(i + 1, N);
        y1[i] = part(i + 3, N);
        y2[i] = part(i + 4, N);
        for (size_t j = 0; j < N; j++)
            a[i][j] = part(i * j, N);
    }
    start();
    kernel(x1, x2, y1, y2, a);
    stop();
    return sum_doubles(sum_doubles(0, x1, N), x2, N);
}
