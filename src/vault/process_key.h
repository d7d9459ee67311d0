/* Seals what stays in this process's memory, under a key that is made when it starts and never leaves it.
 * Thread: the key's owner.
 *
 * What the store keeps (vault/seal.h) has a data key of its own, which must be opened first, and a cipher that every
 * processor has. What is opened a hundred thousand times a second has neither: AES-256-GCM (NIST SP 800-38D) where
 * the processor computes it, else ChaCha20-Poly1305 (RFC 8439), under one key in locked memory. Nonces are counted:
 * none comes twice under a key that no other process has. Each opening is authenticated, with whose it is. */
#ifndef VAULT_PROCESS_KEY_H
#define VAULT_PROCESS_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define PROCESS_SEAL_OVERHEAD 28 /* bytes that what is sealed is longer than the clear text */

struct process_key;

enum process_cipher { PROCESS_AES_GCM, PROCESS_CHACHA20 };

/* The one for this processor. */
enum process_cipher process_key_cipher(void);
/* 0 or BURSAR_E_NOMEM. PROCESS_AES_GCM only where process_key_cipher() gives it; PROCESS_CHACHA20 is everywhere. */
int process_key_new(enum process_cipher cipher, struct process_key **out_key);
void process_key_free(struct process_key *key);

/* Writes plain.len + PROCESS_SEAL_OVERHEAD bytes. whose: what it opens with alone, the connection's id. */
void process_key_seal(struct process_key *key, struct text whose, struct text plain,
                      uint8_t *out_sealed);
/* Writes sealed.len - PROCESS_SEAL_OVERHEAD bytes; 0, or BURSAR_E_BAD_SEAL with nothing of the clear text there. */
int process_key_open(const struct process_key *key, struct text whose, struct text sealed,
                     uint8_t *out_plain);

#endif
