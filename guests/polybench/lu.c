// A = L U, both in the place of A.

#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double a[N][N]) {
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[k][j];
            a[i][j] /= a[j][j];
        }
        for (int j = i; j < N; j++)
            for (int k = 0; k < i; k++)
                a[i][j] -= a[i][k] * a[k][j];
    }
}

uint64_t lu(void) {
    double(*a)[N] = array(N, sizeof *a);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            a[i][j] = dominant(i, j, N);
    start();
    kernel(a);
    stop();
    return sum_doubles(0, a, N * N);
}
