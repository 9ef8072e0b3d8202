/* Attests a peer, is attested by it, and exchanges a message with it, as guests/peer-rust does. The
 * protocol is described there.
 *
 *     peer client|server MESSAGE
 *
 * The peer is at the other end of the first connection to a listening socket, if there is one,
 * otherwise of the standard input and output. PEER_POLICY is the policy, in TOML. Without it a peer
 * must be the same program as this one, on PEER_ROOT: intel, or simulation. */

#include "../api/twine_attestation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFUSED 3
#define LISTENER 3
#define NONCE 32
#define MAX_MESSAGE 512

static const char PROTOCOL[] = "twine peer example 1";

static int input = STDIN_FILENO, output = STDOUT_FILENO;

static void fail(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    exit(EXIT_FAILURE);
}

static void write_all(const void *bytes, size_t length) {
    for (const char *at = bytes; length != 0;) {
        ssize_t count = write(output, at, length);
        if (count <= 0) fail("the connection is lost");
        at += count;
        length -= (size_t)count;
    }
}

static void read_all(void *bytes, size_t length) {
    for (char *at = bytes; length != 0;) {
        ssize_t count = read(input, at, length);
        if (count <= 0) fail("the connection is lost");
        at += count;
        length -= (size_t)count;
    }
}

static void send_frame(const void *bytes, size_t length) {
    uint8_t head[4] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                       (uint8_t)length};
    write_all(head, sizeof head);
    write_all(bytes, length);
}

static size_t receive_frame(void *bytes, size_t most) {
    uint8_t head[4];
    read_all(head, sizeof head);
    size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length > most) fail("the peer sends more than it may");
    read_all(bytes, length);
    return length;
}

/* Writes what a side says, and returns its length. */
static size_t said(uint8_t *out, char side, const uint8_t *own, const uint8_t *other,
                   const void *message, size_t length) {
    uint8_t *at = out;
    memcpy(at, PROTOCOL, sizeof PROTOCOL - 1);
    at += sizeof PROTOCOL - 1;
    *at++ = (uint8_t)side;
    memcpy(at, own, NONCE);
    at += NONCE;
    memcpy(at, other, NONCE);
    at += NONCE;
    memcpy(at, message, length);
    return (size_t)(at - out) + length;
}

/* Prints the reason of a refusal, which is text in JSON. */
static void print_reason(const char *verdict) {
    const char *reason = strstr(verdict, "\"refused\":\"");
    if (reason == NULL) {
        fprintf(stderr, "the evidence is refused\n");
        return;
    }
    reason += strlen("\"refused\":\"");
    const char *end = reason;
    while (*end != '\0' && *end != '"') end += *end == '\\' && end[1] != '\0' ? 2 : 1;
    fprintf(stderr, "the evidence is refused: %.*s\n", (int)(end - reason), reason);
}

static uint8_t evidence[TWINE_MAX_EVIDENCE];
static char policy[TWINE_MAX_POLICY], verdict[65536];

int main(int count, char **arguments) {
    if (count != 3 || (strcmp(arguments[1], "client") != 0 && strcmp(arguments[1], "server") != 0))
        fail("usage: peer client|server MESSAGE");
    char side = arguments[1][0] == 'c' ? 'C' : 'S';
    const char *message = arguments[2];
    size_t length = strlen(message), size;
    if (length > MAX_MESSAGE) fail("the message is too long");

    const char *given = getenv("PEER_POLICY"), *root = getenv("PEER_ROOT");
    if (given != NULL) {
        size = strlen(given);
        if (size > sizeof policy) fail("the policy is too long");
        memcpy(policy, given, size);
    } else {
        if (root == NULL) root = "intel";
        if (twine_own_policy(root, strlen(root), policy, sizeof policy, &size) != TWINE_SUCCESS)
            fail("there is no policy for peers like this program");
    }
    size_t policy_length = size;

    // A listening socket does not wait until it is told to.
    if (fcntl(LISTENER, F_SETFL, 0) != 0 && errno != EBADF) fail("the socket can't wait");
    int connection = accept(LISTENER, NULL, NULL);
    if (connection >= 0) input = output = connection;

    uint8_t own[NONCE], other[NONCE], data[TWINE_MAX_DATA];
    if (getentropy(own, sizeof own) != 0) fail("there are no random bytes");
    send_frame(own, sizeof own);
    if (receive_frame(other, sizeof other) != sizeof other)
        fail("the peer's nonce has another length");

    size_t data_length = said(data, side, own, other, message, length);
    int result =
        twine_evidence(other, sizeof other, data, data_length, evidence, sizeof evidence, &size);
    if (result != TWINE_SUCCESS) {
        fprintf(stderr, "error: no evidence was made: error %d\n", result);
        return EXIT_FAILURE;
    }
    send_frame(message, length);
    send_frame(evidence, size);

    uint8_t received[MAX_MESSAGE];
    size_t received_length = receive_frame(received, sizeof received);
    size_t evidence_length = receive_frame(evidence, sizeof evidence);
    data_length = said(data, side == 'C' ? 'S' : 'C', other, own, received, received_length);
    result = twine_verify(evidence, evidence_length, policy, policy_length, own, sizeof own, data,
                          data_length, verdict, sizeof verdict - 1, &size);
    if (size < sizeof verdict) verdict[size] = '\0';
    switch (result) {
    case TWINE_SUCCESS:
        fprintf(stderr, "the peer says: %.*s\n", (int)received_length, (const char *)received);
        return EXIT_SUCCESS;
    case TWINE_REFUSED:
        print_reason(verdict);
        return REFUSED;
    case TWINE_POLICY:
        fprintf(stderr, "error: the policy: %s\n", verdict);
        return EXIT_FAILURE;
    default:
        fprintf(stderr, "error: the evidence could not be verified: error %d\n", result);
        return EXIT_FAILURE;
    }
}
