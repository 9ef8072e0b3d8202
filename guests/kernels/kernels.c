// Compute kernels for measurements: each works for a while on a size that is given and prints
// one line with a checksum. The same source built for any machine prints the same line.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The mixer of SplitMix64: for data, and for checksums.
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static void *array(uint64_t count, size_t size) {
    void *memory = count <= SIZE_MAX ? calloc((size_t)count, size) : NULL;
    if (!memory) {
        fprintf(stderr, "kernels: no memory for %" PRIu64 " elements\n", count);
        exit(1);
    }
    return memory;
}

// Multiplies two matrices of n by n doubles.
static uint64_t matmul(uint64_t n) {
    double *a = array(n * n, sizeof *a);
    double *b = array(n * n, sizeof *b);
    double *c = array(n * n, sizeof *c);
    for (uint64_t i = 0; i < n * n; i++) {
        a[i] = (double)(mix(i) >> 40) / 1024;
        b[i] = (double)(mix(~i) >> 40) / 1024;
    }
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < n; k++)
            for (uint64_t j = 0; j < n; j++)
                c[i * n + j] += a[i * n + k] * b[k * n + j];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n * n; i++) {
        uint64_t bits;
        memcpy(&bits, &c[i], sizeof bits);
        sum = mix(sum ^ bits);
    }
    free(a);
    free(b);
    free(c);
    return sum;
}

// Sums the primes below n, found with Eratosthenes' sieve.
static uint64_t sieve(uint64_t n) {
    unsigned char *composite = array(n, 1);
    uint64_t sum = 0;
    for (uint64_t i = 2; i < n; i++) {
        if (composite[i])
            continue;
        sum += i;
        for (uint64_t j = i * i; j < n; j += i)
            composite[j] = 1;
    }
    free(composite);
    return sum;
}

// Mixes n blocks of 16 words with ChaCha's double rounds.
static uint64_t chacha(uint64_t n) {
#define ROTATE(x, bits) ((x) << (bits) | (x) >> (32 - (bits)))
#define QUARTER(a, b, c, d)                                                                        \
    a += b, d = ROTATE(d ^ a, 16), c += d, b = ROTATE(b ^ c, 12);                                  \
    a += b, d = ROTATE(d ^ a, 8), c += d, b = ROTATE(b ^ c, 7)
    uint64_t sum = 0;
    for (uint64_t block = 0; block < n; block++) {
        uint32_t x[16];
        for (int i = 0; i < 16; i++)
            x[i] = (uint32_t)mix(block * 16 + i);
        for (int round = 0; round < 10; round++) {
            QUARTER(x[0], x[4], x[8], x[12]);
            QUARTER(x[1], x[5], x[9], x[13]);
            QUARTER(x[2], x[6], x[10], x[14]);
            QUARTER(x[3], x[7], x[11], x[15]);
            QUARTER(x[0], x[5], x[10], x[15]);
            QUARTER(x[1], x[6], x[11], x[12]);
            QUARTER(x[2], x[7], x[8], x[13]);
            QUARTER(x[3], x[4], x[9], x[14]);
        }
        for (int i = 0; i < 16; i++)
            sum = mix(sum ^ x[i]);
    }
    return sum;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Sorts n numbers with the C library's qsort: calls through a pointer.
static uint64_t sort(uint64_t n) {
    uint64_t *numbers = array(n, sizeof *numbers);
    for (uint64_t i = 0; i < n; i++)
        numbers[i] = mix(i);
    qsort(numbers, n, sizeof *numbers, ascending);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum = mix(sum ^ numbers[i]);
    free(numbers);
    return sum;
}

// Follows a single cycle through n 32-bit links, 8 n steps: cache misses and nothing else.
static uint64_t chase(uint64_t n) {
    uint32_t *next = array(n, sizeof *next);
    for (uint64_t i = 0; i < n; i++)
        next[i] = (uint32_t)i;
    // Sattolo's shuffle makes one cycle of it.
    for (uint64_t i = n - 1; i > 0 && i < n; i--) {
        uint64_t j = mix(i) % i;
        uint32_t swap = next[i];
        next[i] = next[j];
        next[j] = swap;
    }
    uint32_t at = 0;
    uint64_t sum = 0;
    for (uint64_t step = 0; step < 8 * n; step++) {
        at = next[at];
        sum += at ^ step;
    }
    free(next);
    return mix(sum);
}

// The n-th Fibonacci number by plain recursion: calls and returns.
static uint64_t fib(uint64_t n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static const struct {
    const char *name;
    uint64_t (*run)(uint64_t);
    uint64_t least;
    const char *what;
} kernels[] = {
    {"matmul", matmul, 1, "multiply two matrices of SIZE by SIZE doubles"},
    {"sieve", sieve, 1, "sum the primes below SIZE"},
    {"chacha", chacha, 1, "mix SIZE blocks with ChaCha's rounds"},
    {"sort", sort, 1, "sort SIZE numbers"},
    {"chase", chase, 2, "follow a cycle of SIZE links, 8 times"},
    {"fib", fib, 0, "the SIZE-th Fibonacci number, by recursion"},
};

static int usage(void) {
    fprintf(stderr, "Usage: kernels KERNEL SIZE\n\n");
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        fprintf(stderr, "  %-8s %s\n", kernels[i].name, kernels[i].what);
    return 2;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return usage();
    char *end;
    uint64_t size = strtoull(argv[2], &end, 10);
    if (end == argv[2] || *end)
        return usage();
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (strcmp(argv[1], kernels[i].name) == 0 && size >= kernels[i].least) {
            printf("%s %" PRIu64 " %016" PRIx64 "\n", argv[1], size, kernels[i].run(size));
            return 0;
        }
    }
    return usage();
}
