#include "base/id.h"

#include <stdio.h>

#include <sodium.h>

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

enum { TIME_CHARS = 10, RANDOM_BYTES = 10 };

/* Crockford's base32 is written in capitals and read in either; ids are lower case throughout so
 * that they look like the provider ids they begin with and compare as bytes. */
void id_make(const char *provider, int64_t now_ms, char out_id[static ID_SIZE])
{
    char tail[BURSAR_ID_RANDOM_CHARS + 1];
    uint8_t random[RANDOM_BYTES];
    randombytes_buf(random, sizeof random);
    for (int i = TIME_CHARS - 1; i >= 0; i--) {
        tail[i] = alphabet[now_ms & 31];
        now_ms >>= 5;
    }
    unsigned bits = 0, have = 0, next = 0;
    for (size_t i = TIME_CHARS; i < BURSAR_ID_RANDOM_CHARS; i++) {
        if (have < 5) {
            bits = (bits << 8) | random[next++];
            have += 8;
        }
        have -= 5;
        tail[i] = alphabet[bits >> have & 31];
    }
    tail[BURSAR_ID_RANDOM_CHARS] = 0;
    snprintf(out_id, ID_SIZE, "%s.%s", provider, tail);
}

/* Each warm vend asks this of an id's 26 characters. */
static bool is_in_alphabet(char c)
{
    return (c >= '0' && c <= '9') ||
           (c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u');
}

struct text id_provider(struct text id)
{
    static const struct text none = {NULL, 0};
    if (id.len <= BURSAR_ID_RANDOM_CHARS + 1)
        return none;
    struct text provider = {id.data, id.len - BURSAR_ID_RANDOM_CHARS - 1};
    if (id.data[provider.len] != '.' || !text_is_provider_id(provider))
        return none;
    for (size_t i = provider.len + 1; i < id.len; i++) {
        if (!is_in_alphabet(id.data[i]))
            return none;
    }
    return provider;
}

void id_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

uint32_t id_random_below(uint32_t limit)
{
    return randombytes_uniform(limit);
}
