// G = (A B) (C D).

#include "polybench.h"

enum {
    NI = SIZE(16, 40, 180, 800, 1600),
    NJ = SIZE(18, 50, 190, 900, 1800),
    NK = SIZE(20, 60, 200, 1000, 2000),
    NL = SIZE(22, 70, 210, 1100, 2200),
    NM = SIZE(24, 80, 220, 1200, 2400),
};

static void kernel(double e[NI][NJ], double a[NI][NK], double b[NK][NJ], double f[NJ][NL],
                   double c[NJ][NM], double d[NM][NL], double g[NI][NL]) {
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) {
            e[i][j] = 0;
            for (int k = 0; k < NK; k++)
                e[i][j] += a[i][k] * b[k][j];
        }
    for (int i = 0; i < NJ; i++)
        for (int j = 0; j < NL; j++) {
            f[i][j] = 0;
            for (int k = 0; k < NM; k++)
                f[i][j] += c[i][k] * d[k][j];
        }
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NL; j++) {
            g[i][j] = 0;
            for (int k = 0; k < NJ; k++)
                g[i][j] += e[i][k] * f[k][j];
        }
}

uint64_t three_mm(void) {
    double(*e)[NJ] = array(NI, sizeof *e);
    double(*a)[NK] = array(NI, sizeof *a);
    double(*b)[NJ] = array(NK, sizeof *b);
    double(*f)[NL] = array(NJ, sizeof *f);
    double(*c)[NM] = array(NJ, sizeof *c);
    double(*d)[NL] = array(NM, sizeof *d);
    double(*g)[NL] = array(NI, sizeof *g);
    for (size_t i = 0; i < NI; i++)
        for (size_t j = 0; j < NK; j++)
            a[i][j] = part(i * j + 1, NI);
    for (size_t i = 0; i < NK; i++)
        for (size_t j = 0; j < NJ; j++)
            b[i][j] = part(i * (j + 1) + 2, NJ);
    for (size_t i = 0; i < NJ; i++)
        for (size_t j = 0; j < NM; j++)
            c[i][j] = part(i * (j + 3), NL);
    for (size_t i = 0; i < NM; i++)
        for (size_t j = 0; j < NL; j++)
            d[i][j] = part(i * (j + 2) + 2, NK);
    start();
    kernel(e, a, b, f, c, d, g);
    stop();
    return sum_doubles(0, g, NI * NL);
}
