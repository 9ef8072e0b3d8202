// s = A' r and q = A p: the two products of a step of the biconjugate gradient method.

#include "polybench.h"

enum {
    M = SIZE(38, 116, 390, 1900, 1800),
    N = SIZE(42, 124, 410, 2100, 2200),
};

static void kernel(double a[N][M], double s[M], double q[N], double p[M], double r[N]) {
    for (int i = 0; i < M; i++)
        s[i] = 0;
    for (int i = 0; i < N; i++) {
        q[i] = 0;
        for (int j = 0; j < M; j++) {
            s[j] += r[i] * a[i][j];
            q[i] += a[i][j] * p[j];
        }
    }
}

uint64_t bicg(void) {
    double(*a)[M] = array(N, sizeof *a);
    double *s = array(M, sizeof *s);
    double *q = array(N, sizeof *q);
    double *p = array(M, sizeof *p);
    double *r = array(N, sizeof *r);
    for (size_t i = 0; i < M; i++)
        p[i] = part(i, M);
    for (size_t i = 0; i < N; i++) {
        r[i] = part(i, N);
        for (size_t j = 0; j < M; j++)
            a[i][j] = part(i * (j + 1), N);
    }
    start();
    kernel(a, s, q, p, r);
    stop();
    return sum_doubles(sum_doubles(0, s, M), q, N);
}
