// Each element of a plane becomes the mean of itself and its four neighbours, in turns of two
// arrays.

#include "polybench.h"

enum {
    TSTEPS = SIZE(20, 40, 100, 500, 1000),
    N = SIZE(30, 90, 250, 1300, 2800),
};

static inline void step(double to[N][N], double from[N][N]) {
    for (int i = 1; i < N - 1; i++)
        for (int j = 1; j < N - 1; j++)
            to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i + 1][j] +
                              from[i - 1][j]);
}

static void kernel(double a[N][N], double b[N][N]) {
    for (int t = 0; t < TSTEPS; t++) {
        step(b, a);
        step(a, b);
    }
}

uint64_t jacobi_2d(void) {
    double(*a)[N] = array(N, sizeof *a);
    double(*b)[N] = array(N, sizeof *b);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            a[i][j] = (double)(i * (j + 2) + 2) / N;
            b[i][j] = (double)(i * (j + 3) + 3) / N;
        }
    start();
    kernel(a, b);
    stop();
    return sum_doubles(0, a, N * N);
}
