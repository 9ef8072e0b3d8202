// Each element of a row becomes the mean of itself and its neighbours, in turns of two arrays.

#include "polybench.h"

enum {
    TSTEPS = SIZE(20, 40, 100, 500, 1000),
    N = SIZE(30, 120, 400, 2000, 4000),
};

static void kernel(double a[N], double b[N]) {
    for (int t = 0; t < TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            b[i] = 0.33333 * (a[i - 1] + a[i] + a[i + 1]);
        for (int i = 1; i < N - 1; i++)
            a[i] = 0.33333 * (b[i - 1] + b[i] + b[i + 1]);
    }
}

uint64_t jacobi_1d(void) {
    double *a = array(N, sizeof *a);
    double *b = array(N, sizeof *b);
    for (size_t i = 0; i < N; i++) {
        a[i] = (double)(i + 2) / N;
        b[i] = (double)(i + 3) / N;
    }
    start();
    kernel(a, b);
    stop();
    return sum_doubles(0, a, N);
}
