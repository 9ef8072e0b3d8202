// Durbin's recursion: y with T y = -r, where T is the Toeplitz matrix of 1, r[0], r[1], ...

#include "polybench.h"

enum { N = SIZE(40, 120, 400, 2000, 4000) };

static void kernel(double r[N], double y[N]) {
    double z[N];
    double beta = 1;
    double alpha = -r[0];
    y[0] = -r[0];
    for (int k = 1; k < N; k++) {
        beta = (1 - alpha * alpha) * beta;
        double sum = 0;
        for (int i = 0; i < k; i++)
            sum += r[k - i - 1] * y[i];
        alpha = -(r[k] + sum) / beta;
        for (int i = 0; i < k; i++)
            z[i] = y[i] + alpha * y[k - i - 1];
        for (int i = 0; i < k; i++)
            y[i] = z[i];
        y[k] = alpha;
    }
}

uint64_t durbin(void) {
    double *r = array(N, sizeof *r);
    double *y = array(N, sizeof *y);
    // Falling and convex from the 1 of the diagonal: such a matrix is positive definite.
    for (size_t i = 0; i < N; i++)
        r[i] = 1 / (double)(i + 2);
    start();
    kernel(r, y);
    stop();
    return sum_doubles(0, y, N);
}
