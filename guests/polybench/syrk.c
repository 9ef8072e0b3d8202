// C = alpha A A' + beta C, the lower half of it.

#include "polybench.h"

enum {
    M = SIZE(20, 60, 200, 1000, 2000),
    N = SIZE(30, 80, 240, 1200, 2600),
};

static void kernel(double alpha, double beta, double c[N][N], double a[N][M]) {
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            c[i][j] *= beta;
        for (int k = 0; k < M; k++)
            for (int j = 0; j <= i; j++)
                c[i][j] += alpha * a[i][k] * a[j][k];
    }
}

uint64_t syrk(void) {
    double(*c)[N] = array(N, sizeof *c);
    double(*a)[M] = array(N, sizeof *a);
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < M; j++)
            a[i][j] = part(i * j + 1, N);
        for (size_t j = 0; j < N; j++)
            c[i][j] = part(i * j + 2, M);
    }
    start();
    kernel(1.5, 1.2, c, a);
    stop();
    return sum_doubles(0, c, N * N);
}
