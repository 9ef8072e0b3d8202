// D = alpha A B C + beta D.

#include "polybench.h"

enum {
    NI = SIZE(16, 40, 180, 800, 1600),
    NJ = SIZE(18, 50, 190, 900, 1800),
    NK = SIZE(22, 70, 210, 1100, 2200),
    NL = SIZE(24, 80, 220, 1200, 2400),
};

static void kernel(double alpha, double beta, double tmp[NI][NJ], double a[NI][NK],
                   double b[NK][NJ], double c[NJ][NL], double d[NI][NL]) {
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) {
            tmp[i][j] = 0;
            for (int k = 0; k < NK; k++)
                tmp[i][j] += alpha * a[i][k] * b[k][j];
        }
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NL; j++) {
            d[i][j] *= beta;
            for (int k = 0; k < NJ; k++)
                d[i][j] += tmp[i][k] * c[k][j];
        }
}

uint64_t two_mm(void) {
    double(*tmp)[NJ] = array(NI, sizeof *tmp);
    double(*a)[NK] = array(NI, sizeof *a);
    double(*b)[NJ] = array(NK, sizeof *b);
    double(*c)[NL] = array(NJ, sizeof *c);
    double(*d)[NL] = array(NI, sizeof *d);
    for (size_t i = 0; i < NI; i++)
        for (size_t j = 0; j < NK; j++)
            a[i][j] = part(i * j + 1, NI);
    for (size_t i = 0; i < NK; i++)
        for (size_t j = 0; j < NJ; j++)
            b[i][j] = part(i * (j + 1), NJ);
    for (size_t i = 0; i < NJ; i++)
        for (size_t j = 0; j < NL; j++)
            c[i][j] = part(i * (j + 3) + 1, NL);
    for (size_t i = 0; i < NI; i++)
        for (size_t j = 0; j < NL; j++)
            d[i][j] = part(i * (j + 2), NK);
    start();
    kernel(1.5, 1.2, tmp, a, b, c, d);
    stop();
    return sum_doubles(0, d, NI * NL);
}
