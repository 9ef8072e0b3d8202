// An electromagnetic field in a plane by finite differences in time and space.

#include "polybench.h"

enum {
    TMAX = SIZE(20, 40, 100, 500, 1000),
    NX = SIZE(20, 60, 200, 1000, 2000),
    NY = SIZE(30, 80, 240, 1200, 2600),
};

static void kernel(double ex[NX][NY], double ey[NX][NY], double hz[NX][NY], double fict[TMAX]) {
    for (int t = 0; t < TMAX; t++) {
        for (int j = 0; j < NY; j++)
            ey[0][j] = fict[t];
        for (int i = 1; i < NX; i++)
            for (int j = 0; j < NY; j++)
                ey[i][j] = ey[i][j] - 0.5 * (hz[i][j] - hz[i - 1][j]);
        for (int i = 0; i < NX; i++)
            for (int j = 1; j < NY; j++)
                ex[i][j] = ex[i][j] - 0.5 * (hz[i][j] - hz[i][j - 1]);
        for (int i = 0; i < NX - 1; i++)
            for (int j = 0; j < NY - 1; j++)
                hz[i][j] =
                    hz[i][j] - 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
    }
}

uint64_t fdtd_2d(void) {
    double(*ex)[NY] = array(NX, sizeof *ex);
    double(*ey)[NY] = array(NX, sizeof *ey);
    double(*hz)[NY] = array(NX, sizeof *hz);
    double *fict = array(TMAX, sizeof *fict);
    for (size_t t = 0; t < TMAX; t++)
        fict[t] = (double)t;
    for (size_t i = 0; i < NX; i++)
        for (size_t j = 0; j < NY; j++) {
            ex[i][j] = (double)(i * (j + 1)) / NX;
            ey[i][j] = (double)(i * (j + 2)) / NY;
            hz[i][j] = (double)(i * (j + 3)) / NX;
        }
    start();
    kernel(ex, ey, hz, fict);
    stop();
    return sum_doubles(sum_doubles(sum_doubles(0, ex, NX * NY), ey, NX * NY), hz, NX * NY);
}
