/* What SQLite and libsodium alone can do: rows of bursar's own store by their key, in a shuffled order, and as much
 * to decrypt as a sealed secret has.
 * Thread: one.
 *
 *     reads STORE OWNER PROVIDER ACCOUNT CONNECTIONS READS
 *
 * reads the accounts ACCOUNT-00000000 and so on, as `bursar bench --in-turn` does, and prints {"per_s": …}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>
#include <sqlite3.h>

enum { STRIDE = 7919, BLOB_MAX = 65536, KEY = 32, NAME = 512 };

struct blob {
    unsigned char nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    unsigned char key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
    unsigned char data[BLOB_MAX];
    unsigned long long len;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "reads: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void encrypt(struct blob *out, size_t len)
{
    static unsigned char plain[BLOB_MAX / 2];
    if (len > sizeof plain)
        give_up("a secret is too large");
    randombytes_buf(out->nonce, sizeof out->nonce);
    randombytes_buf(out->key, sizeof out->key);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out->data, &out->len, plain, len, NULL, 0, NULL,
                                               out->nonce, out->key);
}

static void decrypt(const struct blob *blob)
{
    static unsigned char plain[BLOB_MAX];
    unsigned long long len;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &len, NULL, blob->data, blob->len, NULL,
                                                   0, blob->nonce, blob->key) != 0)
        give_up("what was encrypted does not open");
    sodium_memzero(plain, len);
}

int main(int argc, char **argv)
{
    static struct blob key, body;
    sqlite3 *handle;
    sqlite3_stmt *statement;
    if (argc != 7 || sodium_init() < 0)
        give_up("usage: reads STORE OWNER PROVIDER ACCOUNT CONNECTIONS READS");
    size_t connections = strtoul(argv[5], NULL, 10), reads = strtoul(argv[6], NULL, 10);
    if (sqlite3_open_v2(argv[1], &handle, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(
            handle,
            "SELECT id, state, generation, expires_at, due_at, kind, secret FROM connection"
            " WHERE owner = ? AND provider = ? AND account = ?",
            -1, &statement, NULL) != SQLITE_OK)
        give_up(sqlite3_errmsg(handle));
    encrypt(&key, KEY);
    double begun_at_s = now_s();
    for (size_t i = 0; i < reads; i++) {
        char account[NAME];
        snprintf(account, sizeof account, "%s-%08zu", argv[4], i * STRIDE % connections);
        sqlite3_bind_text(statement, 1, argv[2], -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, argv[3], -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, account, -1, SQLITE_STATIC);
        if (sqlite3_step(statement) != SQLITE_ROW)
            give_up("a row is not there");
        size_t sealed = (size_t)sqlite3_column_bytes(statement, 6);
        if (body.len == 0)
            encrypt(&body, sealed - 121);
        sqlite3_reset(statement);
        decrypt(&key);
        decrypt(&body);
    }
    printf("{\"per_s\": %.1f}\n", (double)reads / (now_s() - begun_at_s));
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return 0;
}
