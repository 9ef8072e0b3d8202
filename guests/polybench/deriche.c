// Deriche's recursive filter smooths a picture: forth and back along its rows, then its columns.

#include "polybench.h"

#include <math.h>

enum {
    W = SIZE(64, 192, 720, 4096, 7680),
    H = SIZE(64, 128, 480, 2160, 4320),
};

static void kernel(float alpha, float in[W][H], float out[W][H], float y1[W][H],
                   float y2[W][H]) {
    float e1 = expf(-alpha), e2 = expf(-2 * alpha);
    float k = (1 - e1) * (1 - e1) / (1 + 2 * alpha * e1 - e2);
    float a1 = k, a5 = k;
    float a2 = k * e1 * (alpha - 1), a6 = a2;
    float a3 = k * e1 * (alpha + 1), a7 = a3;
    float a4 = -k * e2, a8 = a4;
    // The published kernel takes a power of 2 here and not of e.
    float b1 = powf(2, -alpha), b2 = -e2;
    float c1 = 1, c2 = 1;

    for (int i = 0; i < W; i++) {
        float last = 0, before = 0, input = 0;
        for (int j = 0; j < H; j++) {
            y1[i][j] = a1 * in[i][j] + a2 * input + b1 * last + b2 * before;
            input = in[i][j];
            before = last;
            last = y1[i][j];
        }
    }
    for (int i = 0; i < W; i++) {
        float last = 0, before = 0, input = 0, input_before = 0;
        for (int j = H - 1; j >= 0; j--) {
            y2[i][j] = a3 * input + a4 * input_before + b1 * last + b2 * before;
            input_before = input;
            input = in[i][j];
            before = last;
            last = y2[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            out[i][j] = c1 * (y1[i][j] + y2[i][j]);

    for (int j = 0; j < H; j++) {
        float last = 0, before = 0, input = 0;
        for (int i = 0; i < W; i++) {
            y1[i][j] = a5 * out[i][j] + a6 * input + b1 * last + b2 * before;
            input = out[i][j];
            before = last;
            last = y1[i][j];
        }
    }
    for (int j = 0; j < H; j++) {
        float last = 0, before = 0, input = 0, input_before = 0;
        for (int i = W - 1; i >= 0; i--) {
            y2[i][j] = a7 * input + a8 * input_before + b1 * last + b2 * before;
            input_before = input;
            input = out[i][j];
            before = last;
            last = y2[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            out[i][j] = c2 * (y1[i][j] + y2[i][j]);
}

uint64_t deriche(void) {
    float(*in)[H] = array(W, sizeof *in);
    float(*out)[H] = array(W, sizeof *out);
    float(*y1)[H] = array(W, sizeof *y1);
    float(*y2)[H] = array(W, sizeof *y2);
    for (size_t i = 0; i < W; i++)
        for (size_t j = 0; j < H; j++)
            in[i][j] = (float)part(313 * i + 991 * j, 65536);
    start();
    kernel(0.25f, in, out, y1, y2);
    stop();
    return sum_floats(0, out, (size_t)W * H);
}
