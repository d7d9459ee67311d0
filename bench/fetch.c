/* What libcurl alone can do: equal requests to a token endpoint, so many under way at a time.
 * Thread: one.
 *
 *     fetch [--seals] URL REQUESTS OUTSTANDING
 *
 * prints {"per_s": …, "server_cpu_us": …}. With --seals it also opens and seals with libsodium what a broker must that
 * keeps nothing in clear outside of its process: for each request it opens a grant, and for each reply it seals that, a
 * new secret and a new grant, each under a data key of its own that is wrapped itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <curl/curl.h>
#include <sodium.h>

enum {
    OUTSTANDING_MAX = 4096,
    WAIT_MS = 1000,
    KEY_LEN = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    PLAIN_MAX = 4096,
    PLACE_LEN = 64,    /* of what is sealed along: whose it is, where it stands */
    SECRET_LEN = 1260, /* a token of 1200, and the map around it */
    GRANT_LEN = 110,
    REPLY_LEN = 1450 /* with its headers */
};

static const char form[] = "grant_type=refresh_token&refresh_token="
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static size_t taken; /* bytes of all answers */
static int has_seals;

/* ---- seals ------------------------------------------------------------------------------------ */

/* One sealed text: a data key under the key of all, and the text under that. */
struct sealed {
    unsigned char wrapped[KEY_LEN + TAG_LEN], wrap_nonce[NONCE_LEN], nonce[NONCE_LEN];
    unsigned char body[PLAIN_MAX + TAG_LEN];
    size_t len; /* of the text */
};

static unsigned char key[KEY_LEN], plain[PLAIN_MAX];
static const unsigned char place[PLACE_LEN];
static struct sealed secret, grant, reply; /* as the store has them */

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "fetch: %s\n", what);
    exit(1);
}

/* What is random of one sealed text. */
struct fresh {
    unsigned char data_key[KEY_LEN], wrap_nonce[NONCE_LEN], nonce[NONCE_LEN];
};

static void seal(struct sealed *sealed, size_t len, const struct fresh *fresh)
{
    memcpy(sealed->wrap_nonce, fresh->wrap_nonce, NONCE_LEN);
    memcpy(sealed->nonce, fresh->nonce, NONCE_LEN);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed->wrapped, NULL, fresh->data_key, KEY_LEN,
                                               place, sizeof place, NULL, sealed->wrap_nonce, key);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed->body, NULL, plain, len, place, sizeof place,
                                               NULL, sealed->nonce, fresh->data_key);
    sealed->len = len;
}

static void unseal(const struct sealed *sealed)
{
    unsigned char data_key[KEY_LEN];
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(data_key, NULL, NULL, sealed->wrapped,
                                                   sizeof sealed->wrapped, place, sizeof place,
                                                   sealed->wrap_nonce, key) != 0 ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed->body,
                                                   sealed->len + TAG_LEN, place, sizeof place,
                                                   sealed->nonce, data_key) != 0)
        give_up("what was sealed does not open");
    sodium_memzero(data_key, sizeof data_key);
}

static void seal_reply(void)
{
    struct fresh fresh;
    randombytes_buf(&fresh, sizeof fresh);
    seal(&reply, REPLY_LEN, &fresh);
    sodium_memzero(&fresh, sizeof fresh);
}

static void seal_credential(void)
{
    struct fresh fresh[2];
    randombytes_buf(fresh, sizeof fresh);
    seal(&secret, SECRET_LEN, &fresh[0]);
    seal(&grant, GRANT_LEN, &fresh[1]);
    sodium_memzero(fresh, sizeof fresh);
}

static void open_grant(void)
{
    unseal(&grant);
    sodium_memzero(plain, GRANT_LEN);
}

/* ---- transfers -------------------------------------------------------------------------------- */

static size_t take(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    taken += size * count;
    return size * count;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Begins a transfer, new or again. */
static void begin(CURLM *multi, CURL *easy)
{
    if (has_seals)
        open_grant();
    curl_multi_add_handle(multi, easy);
}

static CURL *request(const char *url)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        give_up("no memory");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, form);
    curl_easy_setopt(easy, CURLOPT_USERPWD, "client:secret");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    return easy;
}

/* Ends the transfers that are done; how many those were. */
static size_t end_done(CURLM *multi, size_t *left)
{
    size_t done = 0;
    int rest;
    for (CURLMsg *message = curl_multi_info_read(multi, &rest); message;
         message = curl_multi_info_read(multi, &rest)) {
        long status = 0;
        CURL *easy = message->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (message->data.result != CURLE_OK || status != 200)
            give_up("a request failed");
        curl_multi_remove_handle(multi, easy);
        done++;
        if (has_seals) {
            seal_reply();
            seal_credential();
        }
        if (*left > 0) {
            (*left)--;
            begin(multi, easy);
        } else
            curl_easy_cleanup(easy);
    }
    return done;
}

int main(int argc, char **argv)
{
    has_seals = argc > 1 && strcmp(argv[1], "--seals") == 0;
    argv += has_seals;
    argc -= has_seals;
    size_t requests = argc > 2 ? strtoul(argv[2], NULL, 10) : 0,
           outstanding = argc > 3 ? strtoul(argv[3], NULL, 10) : 0, done = 0;
    if (requests == 0 || outstanding == 0 || outstanding > OUTSTANDING_MAX ||
        outstanding > requests)
        give_up("usage: fetch [--seals] URL REQUESTS OUTSTANDING");
    if (sodium_init() < 0)
        give_up("libsodium");
    randombytes_buf(key, sizeof key);
    seal_credential();
    curl_global_init(CURL_GLOBAL_ALL);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)outstanding);
    double begun_at_s = now_s(), cpu_before_s = cpu_s();
    for (size_t i = 0; i < outstanding; i++)
        begin(multi, request(argv[1]));
    size_t left = requests - outstanding;
    while (done < requests) {
        int running;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            give_up("curl_multi_perform");
        size_t ended = end_done(multi, &left);
        done += ended;
        if (ended == 0 && curl_multi_poll(multi, NULL, 0, WAIT_MS, NULL) != CURLM_OK)
            give_up("curl_multi_poll");
    }
    double seconds = now_s() - begun_at_s;
    printf("{\"per_s\": %.1f, \"server_cpu_us\": %.3f, \"bytes\": %zu}\n",
           (double)requests / seconds, (cpu_s() - cpu_before_s) / (double)requests * 1e6,
           taken / requests);
    curl_multi_cleanup(multi);
    return 0;
}
