// The covariance of each pair of M variables over N points.

#include "polybench.h"

enum {
    M = SIZE(28, 80, 240, 1200, 2600),
    N = SIZE(32, 100, 260, 1400, 3000),
};

static void kernel(double n, double data[N][M], double cov[M][M], double mean[M]) {
    for (int j = 0; j < M; j++) {
        mean[j] = 0;
        for (int i = 0; i < N; i++)
            mean[j] += data[i][j];
        mean[j] /= n;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            data[i][j] -= mean[j];
    for (int i = 0; i < M; i++)
        for (int j = i; j < M; j++) {
            cov[i][j] = 0;
            for (int k = 0; k < N; k++)
                cov[i][j] += data[k][i] * data[k][j];
            cov[i][j] /= n - 1;
            cov[j][i] = cov[i][j];
        }
}

uint64_t covariance(void) {
    double(*data)[M] = array(N, sizeof *data);
    double(*cov)[M] = array(M, sizeof *cov);
    double *mean = array(M, sizeof *mean);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < M; j++)
            data[i][j] = part(i * j, M);
    start();
    kernel(N, data, cov, mean);
    stop();
    return sum_doubles(0, cov, M * M);
}
