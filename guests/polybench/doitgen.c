// Each row of A, a tensor of three dimensions, is multiplied by the matrix C4.

#include "polybench.h"

enum {
    NQ = SIZE(8, 20, 40, 140, 220),
    NR = SIZE(10, 25, 50, 150, 250),
    NP = SIZE(12, 30, 60, 160, 270),
};

static void kernel(double a[NR][NQ][NP], double c4[NP][NP], double sum[NP]) {
    for (int r = 0; r < NR; r++)
        for (int q = 0; q < NQ; q++) {
            for (int p = 0; p < NP; p++) {
                sum[p] = 0;
                for (int s = 0; s < NP; s++)
                    sum[p] += a[r][q][s] * c4[s][p];
            }
            for (int p = 0; p < NP; p++)
                a[r][q][p] = sum[p];
        }
}

uint64_t doitgen(void) {
    double(*a)[NQ][NP] = array(NR, sizeof *a);
    double(*c4)[NP] = array(NP, sizeof *c4);
    double *sum = array(NP, sizeof *sum);
    for (size_t r = 0; r < NR; r++)
        for (size_t q = 0; q < NQ; q++)
            for (size_t p = 0; p < NP; p++)
                a[r][q][p] = part(r * q + p, NP);
    for (size_t s = 0; s < NP; s++)
        for (size_t p = 0; p < NP; p++)
            c4[s][p] = part(s * p, NP);
    start();
    kernel(a, c4, sum);
    stop();
    return sum_doubles(0, a, NR * NQ * NP);
}
