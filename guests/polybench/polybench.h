// What all kernels share. Each kernel is a file of its own, named as PolyBench/C names it; `main.c`
// lists them. A data set is chosen when they are compiled, as in PolyBench, so that compilers know
// the sizes of all loops.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Of the sizes MINI, SMALL, MEDIUM, LARGE and EXTRALARGE, the one that DATASET (0 to 4) means.
#define SIZE(mini, small, medium, large, extralarge)                                               \
    (DATASET == 0   ? (mini)                                                                       \
     : DATASET == 1 ? (small)                                                                      \
     : DATASET == 2 ? (medium)                                                                     \
     : DATASET == 3 ? (large)                                                                      \
                    : (extralarge))

// `count` elements of `size` bytes, all zero and touched; without memory for them the program ends.
// As in PolyBench, compilers are told nothing of whether arrays overlap.
void *array(size_t count, size_t size);

// What is between the two is the kernel's time.
void start(void);
void stop(void);

// A checksum of what was computed, over the bits of all its elements in their order, which takes
// in the sum so far. A result that is not a number ends the program.
uint64_t sum_doubles(uint64_t sum, const void *values, size_t count);
uint64_t sum_floats(uint64_t sum, const void *values, size_t count);
uint64_t sum_ints(uint64_t sum, const void *values, size_t count);

// An input between 0 and 1, without 1.
static inline double part(size_t value, size_t of) {
    return (double)(value % of) / (double)of;
}

// Elements of a system of `n` equations that is far from singular: those beside the diagonal
// are small enough for the diagonal to outweigh them together. The matrix is symmetric.
static inline double dominant(size_t row, size_t column, size_t n) {
    return row == column ? 2.0 : part(row + column, n) / (double)n;
}
