/* For programs in enclaves of Twine: a program proves itself to its peers, verifies them, and seals
 * bytes for its own use. docs/guest-api.md of Twine describes what each function promises. */

#ifndef TWINE_ATTESTATION_H
#define TWINE_ATTESTATION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the functions return. */
enum twine_errno {
    TWINE_SUCCESS = 0,
    TWINE_INVAL = 1,   /* an argument is longer or shorter than allowed */
    TWINE_NOBUFS = 2,  /* the buffer is too small: *size says how large it must be */
    TWINE_NOTSUP = 3,  /* this machine, or this kind of run, can't do it */
    TWINE_AGAIN = 4,   /* too many calls in a short time: try again later */
    TWINE_IO = 5,      /* the host made no quote, or gave no collateral or time */
    TWINE_REFUSED = 6, /* the evidence is refused */
    TWINE_POLICY = 7,  /* the policy can't be read */
    TWINE_DAMAGED = 8, /* not sealed here with this context, or changed */
    TWINE_TOOBIG = 9   /* the launch statement is too long for evidence */
};

#define TWINE_MIN_NONCE 8
#define TWINE_MAX_NONCE 64
#define TWINE_MAX_DATA 1024
#define TWINE_MAX_EVIDENCE 262144
#define TWINE_MAX_POLICY 65536
#define TWINE_MAX_CONTEXT 1024
#define TWINE_MAX_SEALED 262144
#define TWINE_SEAL_BYTES 128

#define TWINE_IMPORT(name) \
    __attribute__((import_module("twine:attestation"), import_name(#name)))

/* Makes evidence that this program, as it was launched, wants to say the data to whoever chose the
 * nonce. After TWINE_NOBUFS, the same call with a larger buffer returns the same evidence. */
TWINE_IMPORT(evidence)
int twine_evidence(const uint8_t *nonce, size_t nonce_length, const uint8_t *data,
                   size_t data_length, uint8_t *buffer, size_t length, size_t *size);

/* Verifies that a program which the policy (TOML) accepts says the data, all of it, to this nonce:
 * TWINE_SUCCESS, or TWINE_REFUSED. In both cases the buffer gets the verdict in JSON if *size is not
 * more than its length; with TWINE_POLICY it gets what is wrong with the policy. */
TWINE_IMPORT(verify)
int twine_verify(const uint8_t *evidence, size_t evidence_length, const char *policy,
                 size_t policy_length, const uint8_t *nonce, size_t nonce_length,
                 const uint8_t *data, size_t data_length, char *buffer, size_t length,
                 size_t *size);

/* Writes a policy that accepts programs that run as this one does, under a root: "intel",
 * "simulation", or a certificate in PEM. */
TWINE_IMPORT(own_policy)
int twine_own_policy(const char *root, size_t root_length, char *buffer, size_t length,
                     size_t *size);

/* Seals bytes for this program, or this deployment, and this context. */
TWINE_IMPORT(seal)
int twine_seal(const uint8_t *context, size_t context_length, const uint8_t *bytes,
               size_t bytes_length, uint8_t *buffer, size_t length, size_t *size);

/* Unseals bytes. */
TWINE_IMPORT(unseal)
int twine_unseal(const uint8_t *context, size_t context_length, const uint8_t *sealed,
                 size_t sealed_length, uint8_t *buffer, size_t length, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
