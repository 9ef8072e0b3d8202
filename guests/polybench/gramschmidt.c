// A = Q R by the modified method of Gram and Schmidt, column by column.

#include "polybench.h"

#include <math.h>

enum {
    M = SIZE(20, 60, 200, 1000, 2000),
    N = SIZE(30, 80, 240, 1200, 2600),
};

static void kernel(double a[M][N], double r[N][N], double q[M][N]) {
    for (int k = 0; k < N; k++) {
        double norm = 0;
        for (int i = 0; i < M; i++)
            norm += a[i][k] * a[i][k];
        r[k][k] = sqrt(norm);
        for (int i = 0; i < M; i++)
            q[i][k] = a[i][k] / r[k][k];
        for (int j = k + 1; j < N; j++) {
            r[k][j] = 0;
            for (int i = 0; i < M; i++)
                r[k][j] += q[i][k] * a[i][j];
            for (int i = 0; i < M; i++)
                a[i][j] = a[i][j] - q[i][k] * r[k][j];
        }
    }
}

uint64_t gramschmidt(void) {
    double(*a)[N] = array(M, sizeof *a);
    double(*r)[N] = array(N, sizeof *r);
    double(*q)[N] = array(M, sizeof *q);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++)
            a[i][j] = part(i * i * 31 + j * j * 17 + i * j, 1009) * 100 + 10;
    start();
    kernel(a, r, q);
    stop();
    return sum_doubles(sum_doubles(0, r, N * N), q, M * N);
}
