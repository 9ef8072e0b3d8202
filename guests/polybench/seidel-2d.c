// Each element of a plane becomes the mean of itself and its eight neighbours, in place.

#include "polybench.h"

enum {
    TSTEPS = SIZE(20, 40, 100, 500, 1000),
    N = SIZE(40, 120, 400, 2000, 4000),
};

static void kernel(double a[N][N]) {
    for (int t = 0; t <= TSTEPS - 1; t++)
        for (int i = 1; i <= N - 2; i++)
            for (int j = 1; j <= N - 2; j++)
                a[i][j] = (a[i - 1][j - 1] + a[i - 1][j] + a[i - 1][j + 1] + a[i][j - 1] +
                           a[i][j] + a[i][j + 1] + a[i + 1][j - 1] + a[i + 1][j] +
                           a[i + 1][j + 1]) /
                          9.0;
}

uint64_t seidel_2d(void) {
    double(*a)[N] = array(N, sizeof *a);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            a[i][j] = (double)(i * (j + 2) + 2) / N;
    start();
    kernel(a);
    stop();
    return sum_doubles(0, a, N * N);
}
