/* The links and the seal of the audit log.
 * Thread: any; pure.
 *
 * A link is a hash of the link before it and of a row: whoever has noted one link has bound all rows
 * before it. The seal is a keyed hash (BLAKE2b under a key that is derived from a key-encryption key) of
 * where the log begins and ends: without the keyring nobody can make one for another beginning or end. */
#ifndef VAULT_CHAIN_H
#define VAULT_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "vault/keyring.h"

#define CHAIN_LINK_LEN 32
#define CHAIN_SEAL_LEN 32

/* The link behind `before`; all-zero before the first row. out may be the same memory. */
void chain_link(const uint8_t before[static CHAIN_LINK_LEN], struct text row,
                uint8_t out[static CHAIN_LINK_LEN]);

/* The same of the entries of its journal, which is a chain of its own. */
void chain_journal_link(const uint8_t before[static CHAIN_LINK_LEN], struct text entry,
                        uint8_t out[static CHAIN_LINK_LEN]);

/* Where a log begins (behind which row) and ends, and its journal. */
struct chain_ends {
    uint64_t anchor_seq, seq;
    uint8_t anchor[CHAIN_LINK_LEN], link[CHAIN_LINK_LEN];
    uint64_t journal_nr; /* of its last entry; 0: it is empty */
    uint8_t journal[CHAIN_LINK_LEN];
};

struct chain_seal {
    uint8_t key_id[KEYRING_ID_LEN];
    uint8_t bytes[CHAIN_SEAL_LEN];
};

/* Seals under the active key; 0 or BURSAR_E_INTERNAL. */
int chain_seal(const struct keyring *keyring, const struct chain_ends *ends,
               struct chain_seal *out_seal);
/* Whether a seal is under the active key. */
bool chain_is_current(const struct keyring *keyring, const struct chain_seal *seal);
/* 0, BURSAR_E_BAD_SEAL or BURSAR_E_UNKNOWN_KEY. */
int chain_check(const struct keyring *keyring, const struct chain_ends *ends,
                const struct chain_seal *seal);

#endif
