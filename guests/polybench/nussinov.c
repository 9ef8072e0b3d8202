// Nussinov's algorithm: the most pairs of bases in a folded RNA, for each part of it.

#include "polybench.h"

enum { N = SIZE(60, 180, 500, 2500, 5500) };

typedef char base;

static inline int match(base one, base other) {
    return one + other == 3;
}

static inline int larger(int one, int other) {
    return one >= other ? one : other;
}

static void kernel(base seq[N], int table[N][N]) {
    for (int i = N - 1; i >= 0; i--)
        for (int j = i + 1; j < N; j++) {
            if (j - 1 >= 0)
                table[i][j] = larger(table[i][j], table[i][j - 1]);
            if (i + 1 < N)
                table[i][j] = larger(table[i][j], table[i + 1][j]);
            if (j - 1 >= 0 && i + 1 < N) {
                // Bases beside each other don't pair.
                int pair = i < j - 1 ? match(seq[i], seq[j]) : 0;
                table[i][j] = larger(table[i][j], table[i + 1][j - 1] + pair);
            }
            for (int k = i + 1; k < j; k++)
                table[i][j] = larger(table[i][j], table[i][k] + table[k + 1][j]);
        }
}

uint64_t nussinov(void) {
    base *seq = array(N, sizeof *seq);
    int(*table)[N] = array(N, sizeof *table);
    for (size_t i = 0; i < N; i++)
        seq[i] = (base)((i * i + i / 3) % 4);
    start();
    kernel(seq, table);
    stop();
    return sum_ints(0, table, N * N);
}
