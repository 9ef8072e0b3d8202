// C = alpha A B + beta C, where A is symmetric and only its lower half is looked at.

#include "polybench.h"

enum {
    M = SIZE(20, 60, 200, 1000, 2000),
    N = SIZE(30, 80, 240, 1200, 2600),
};

static void kernel(double alpha, double beta, double c[M][N], double a[M][M], double b[M][N]) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double below = 0;
            for (int k = 0; k < i; k++) {
                c[k][j] += alpha * b[i][j] * a[i][k];
                below += b[k][j] * a[i][k];
            }
            c[i][j] = beta * c[i][j] + alpha * b[i][j] * a[i][i] + alpha * below;
        }
}

uint64_t symm(void) {
    double(*c)[N] = array(M, sizeof *c);
    double(*a)[M] = array(M, sizeof *a);
    double(*b)[N] = array(M, sizeof *b);
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < N; j++) {
            c[i][j] = part(i + j, 100);
            b[i][j] = part(N + i - j, 100);
        }
        for (size_t j = 0; j <= i; j++)
            a[i][j] = part(i + j, 100);
    }
    start();
    kernel(1.5, 1.2, c, a, b);
    stop();
    return sum_doubles(0, c, M * N);
}
