/* Memory for keys and secrets: locked, guarded, not dumped, wiped by its own free.
 * Thread: any, after secret_arena_open(); a block has one owner at a time.
 *
 * One arena is made at start (sodium_malloc costs 25 us and more, an arena block well under one).
 * Blocks are powers of two, found by a buddy allocator; where the arena is full a block comes from
 * sodium_malloc itself: slow, but a received token is never dropped for want of locked memory. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define SECRET_ARENA_BYTES ((size_t)4 << 20) /* below the usual limit of 8 MiB for any user */

/* Makes the arena, once in a process, before any thread is started; bytes is a power of two.
 * 0, BURSAR_E_NOMEM, or BURSAR_E_IO where libsodium does not start. Without an arena every block
 * comes from sodium_malloc (the command line tools live so). */
int secret_arena_open(size_t bytes);
void secret_arena_close(void);

struct secret_arena_info {
    size_t bytes;      /* size of the arena; 0 without one */
    size_t used_bytes; /* in blocks given out now, rounded up as the allocator does */
    size_t overflows;  /* blocks that had to come from outside, ever */
    bool is_locked;    /* the kernel keeps it out of swap */
};
struct secret_arena_info secret_arena_info(void);

/* Gives len bytes (uninitialised), or NULL. */
void *secret_memory_new(size_t len);
/* Wipes and takes back; len: how much of it may have been written, at most what was asked for. NULL is fine. */
void secret_memory_free(void *data, size_t len);
/* Overwrites so that no compiler drops it. */
void secret_wipe(void *data, size_t len);

/* As free(), and wiped: for libraries that take an allocator and hold secrets for a while. */
void secret_wiping_free(void *data);

/* A secret value. No log function takes it, and it is wiped by its own free. */
struct secret {
    uint8_t *data; /* NULL: absent; NUL-terminated behind len */
    size_t len;
};

/* Copies; 0 or BURSAR_E_NOMEM. An absent text makes an absent secret. */
int secret_copy(struct text text, struct secret *out_secret);
void secret_free(struct secret *secret);
/* Borrows the content until the secret ends. */
struct text secret_text(const struct secret *secret);
/* In a time that depends on the lengths alone. */
bool secret_equal(struct text a, struct text b);

/* A one-way fingerprint (BLAKE2b-256) for comparing secrets without keeping them. */
#define SECRET_FINGERPRINT_LEN 32
void secret_fingerprint(struct text text, uint8_t out[static SECRET_FINGERPRINT_LEN]);
/* Lower-case hex of SHA-256, as `access_token_sha256` of the wire; out holds 65 bytes. */
void secret_sha256_hex(struct text text, char out[static 65]);

#endif
