// C = alpha A B + beta C.

#include "polybench.h"

enum {
    NI = SIZE(20, 60, 200, 1000, 2000),
    NJ = SIZE(25, 70, 220, 1100, 2300),
    NK = SIZE(30, 80, 240, 1200, 2600),
};

static void kernel(double alpha, double beta, double c[NI][NJ], double a[NI][NK],
                   double b[NK][NJ]) {
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++)
            c[i][j] *= beta;
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                c[i][j] += alpha * a[i][k] * b[k][j];
    }
}

uint64_t gemm(void) {
    double(*c)[NJ] = array(NI, sizeof *c);
    double(*a)[NK] = array(NI, sizeof *a);
    double(*b)[NJ] = array(NK, sizeof *b);
    for (size_t i = 0; i < NI; i++)
        for (size_t j = 0; j < NJ; j++)
            c[i][j] = part(i * j + 1, NI);
    for (size_t i = 0; i < NI; i++)
        for (size_t k = 0; k < NK; k++)
            a[i][k] = part(i * (k + 1), NK);
    for (size_t k = 0; k < NK; k++)
        for (size_t j = 0; j < NJ; j++)
            b[k][j] = part(k * (j + 2), NJ);
    start();
    kernel(1.5, 1.2, c, a, b);
    stop();
    return sum_doubles(0, c, NI * NJ);
}
