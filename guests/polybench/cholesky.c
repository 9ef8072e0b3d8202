// A = L L', with L in the place of A's lower half.

#include "polybench.h"

#include <math.h>

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double a[N][N]) {
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
        for (int k = 0; k < i; k++)
            a[i][i] -= a[i][k] * a[i][k];
        a[i][i] = sqrt(a[i][i]);
    }
}

uint64_t cholesky(void) {
    double(*a)[N] = array(N, sizeof *a);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            a[i][j] = dominant(i, j, N);
    start();
    kernel(a);
    stop();
    return sum_doubles(0, a, N * N);
}
