// The 30 kernels of PolyBench/C 4.2 in our own words: same names, sizes, types and loop orders,
// with inputs of ours.
//
//     polybench KERNEL...
//
// prints a line for each: the kernel, the seconds that it took by the program's own clock, and a
// checksum that is the same wherever arithmetic is IEEE 754's. A time that counts is that of a kernel
// alone in its process.

#include "polybench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KERNELS(each)                                                                              \
    each(correlation, "correlation");                                                              \
    each(covariance, "covariance");                                                                \
    each(two_mm, "2mm");                                                                           \
    each(three_mm, "3mm");                                                                         \
    each(atax, "atax");                                                                            \
    each(bicg, "bicg");                                                                            \
    each(doitgen, "doitgen");                                                                      \
    each(mvt, "mvt");                                                                              \
    each(gemm, "gemm");                                                                            \
    each(gemver, "gemver");                                                                        \
    each(gesummv, "gesummv");                                                                      \
    each(symm, "symm");                                                                            \
    each(syr2k, "syr2k");                                                                          \
    each(syrk, "syrk");                                                                            \
    each(trmm, "trmm");                                                                            \
    each(cholesky, "cholesky");                                                                    \
    each(durbin, "durbin");                                                                        \
    each(gramschmidt, "gramschmidt");                                                              \
    each(lu, "lu");                                                                                \
    each(ludcmp, "ludcmp");                                                                        \
    each(trisolv, "trisolv");                                                                      \
    each(deriche, "deriche");                                                                      \
    each(floyd_warshall, "floyd-warshall");                                                        \
    each(nussinov, "nussinov");                                                                    \
    each(adi, "adi");                                                                              \
    each(fdtd_2d, "fdtd-2d");                                                                      \
    each(heat_3d, "heat-3d");                                                                      \
    each(jacobi_1d, "jacobi-1d");                                                                  \
    each(jacobi_2d, "jacobi-2d");                                                                  \
    each(seidel_2d, "seidel-2d")

#define DECLARE(function, name) uint64_t function(void)
KERNELS(DECLARE);

static struct timespec began, ended;

void start(void) {
    clock_gettime(CLOCK_MONOTONIC, &began);
}

void stop(void) {
    clock_gettime(CLOCK_MONOTONIC, &ended);
}

static void fail(const char *why) {
    fprintf(stderr, "polybench: %s\n", why);
    exit(1);
}

void *array(size_t count, size_t size) {
    void *memory = count <= SIZE_MAX / size ? malloc(count * size) : NULL;
    if (!memory)
        fail("no memory");
    return memset(memory, 0, count * size);
}

// The mixer of SplitMix64.
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

uint64_t sum_doubles(uint64_t sum, const void *values, size_t count) {
    const double *value = values;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        if (value[i] != value[i])
            fail("a result is not a number");
        memcpy(&bits, &value[i], sizeof bits);
        sum = mix(sum ^ bits);
    }
    return sum;
}

uint64_t sum_floats(uint64_t sum, const void *values, size_t count) {
    const float *value = values;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        if (value[i] != value[i])
            fail("a result is not a number");
        memcpy(&bits, &value[i], sizeof bits);
        sum = mix(sum ^ bits);
    }
    return sum;
}

uint64_t sum_ints(uint64_t sum, const void *values, size_t count) {
    const int32_t *value = values;
    for (size_t i = 0; i < count; i++)
        sum = mix(sum ^ (uint32_t)value[i]);
    return sum;
}

static int usage(void) {
    fputs("usage: polybench KERNEL...\n\n", stderr);
#define SHOW(function, name) fputs("  " name "\n", stderr)
    KERNELS(SHOW);
    return 2;
}

int main(int count, char **arguments) {
    if (count < 2)
        return usage();
    for (int at = 1; at < count; at++) {
        uint64_t (*kernel)(void) = NULL;
#define FIND(function, name)                                                                       \
    if (strcmp(arguments[at], name) == 0)                                                          \
    kernel = function
        KERNELS(FIND);
        if (!kernel)
            return usage();
        uint64_t sum = kernel();
        double seconds =
            (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
        printf("%s %.9f %016" PRIx64 "\n", arguments[at], seconds, sum);
    }
    return 0;
}
