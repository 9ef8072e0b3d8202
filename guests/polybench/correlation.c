// The correlation of each pair of M variables over N points.

#include "polybench.h"

#include <math.h>

enum {
    M = SIZE(28, 80, 240, 1200, 2600),
    N = SIZE(32, 100, 260, 1400, 3000),
};

// A deviation below this counts as none: one is divided by instead.
static const double LEAST = 0.1;

static void kernel(double n, double data[N][M], double corr[M][M], double mean[M],
                   double stddev[M]) {
    for (int j = 0; j < M; j++) {
        mean[j] = 0;
        for (int i = 0; i < N; i++)
            mean[j] += data[i][j];
        mean[j] /= n;
    }
    for (int j = 0; j < M; j++) {
        stddev[j] = 0;
        for (int i = 0; i < N; i++)
            stddev[j] += (data[i][j] - mean[j]) * (data[i][j] - mean[j]);
        stddev[j] /= n;
        stddev[j] = sqrt(stddev[j]);
        stddev[j] = stddev[j] <= LEAST ? 1 : stddev[j];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            data[i][j] -= mean[j];
            data[i][j] /= sqrt(n) * stddev[j];
        }
    for (int i = 0; i < M - 1; i++) {
        corr[i][i] = 1;
        for (int j = i + 1; j < M; j++) {
            corr[i][j] = 0;
            for (int k = 0; k < N; k++)
                corr[i][j] += data[k][i] * data[k][j];
            corr[j][i] = corr[i][j];
        }
    }
    corr[M - 1][M - 1] = 1;
}

uint64_t correlation(void) {
    double(*data)[M] = array(N, sizeof *data);
    double(*corr)[M] = array(M, sizeof *corr);
    double *mean = array(M, sizeof *mean);
    double *stddev = array(M, sizeof *stddev);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < M; j++)
            data[i][j] = part(i * j, M) + (double)i;
    start();
    kernel(N, data, corr, mean, stddev);
    stop();
    return sum_doubles(0, corr, M * M);
}
