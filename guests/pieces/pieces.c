// Reads and writes a file in pieces of 4 KiB, and prints the microseconds that one takes.
//
//     pieces FILE MIB write|read|random|sync [COUNT]
//
// `write` makes the file and writes it in order, with one sync; `read` reads it in order; `random`
// reads COUNT pieces at random places; `sync` writes COUNT pieces at random places, each with a sync.
// Every word of a piece holds the piece's number, which the reads compare.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 4096, WORDS = PIECE / 8 };

static uint64_t piece[WORDS];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void must(int done, const char *what) {
    if (!done) {
        fprintf(stderr, "pieces: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static void put(int file, uint64_t number) {
    for (int at = 0; at < WORDS; at++) piece[at] = number;
    must(pwrite(file, piece, PIECE, (off_t)(number * PIECE)) == PIECE, "write");
}

static void get(int file, uint64_t number) {
    must(pread(file, piece, PIECE, (off_t)(number * PIECE)) == PIECE, "read");
    errno = EILSEQ;
    must(piece[0] == number && piece[WORDS - 1] == number, "compare");
}

static uint64_t anywhere(uint64_t pieces) {
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % pieces;
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: pieces FILE MIB write|read|random|sync [COUNT]\n");
        return 2;
    }
    const char *what = arguments[3];
    uint64_t pieces = strtoull(arguments[2], NULL, 10) << 8;
    uint64_t some = count > 4 ? strtoull(arguments[4], NULL, 10) : 1000;
    int in_order = strcmp(what, "write") == 0 || strcmp(what, "read") == 0;
    if (in_order) some = pieces;
    int flags = strcmp(what, "write") == 0 ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR;
    int file = open(arguments[1], flags, 0666);
    must(file >= 0, arguments[1]);
    must(pieces > 0 && some > 0, "nothing to do");
    double start = now();
    for (uint64_t at = 0; at < some; at++) {
        if (strcmp(what, "write") == 0) {
            put(file, at);
        } else if (strcmp(what, "read") == 0) {
            get(file, at);
        } else if (strcmp(what, "random") == 0) {
            get(file, anywhere(pieces));
        } else {
            put(file, anywhere(pieces));
            must(fdatasync(file) == 0, "sync");
        }
    }
    if (strcmp(what, "write") == 0) must(fdatasync(file) == 0, "sync");
    printf("%.3f\n", (now() - start) / some);
    must(close(file) == 0, "close");
    return 0;
}
