#include "client/topics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/text.h"

/* The second part, where a slash ends it; absent where none does, or where it stands for nobody. */
static struct text owner_part(const char *topic)
{
    const char *from = strchr(topic, '/');
    const char *end = from ? strchr(from + 1, '/') : NULL;
    struct text part = {end ? from + 1 : NULL, end ? (size_t)(end - from - 1) : 0};
    return part.len == 0 || text_is(part, "-") ? (struct text){NULL, 0} : part;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* As topics are written: an escape that is none stands for itself. */
static void decode(struct text part, char *out)
{
    for (size_t i = 0; i < part.len; i++) {
        bool is_escape = part.data[i] == '%' && i + 2 < part.len;
        int high = is_escape ? hex_digit(part.data[i + 1]) : -1;
        int low = is_escape ? hex_digit(part.data[i + 2]) : -1;
        *out = part.data[i];
        if (high >= 0 && low >= 0) {
            *out = (char)(high << 4 | low);
            i += 2;
        }
        out++;
    }
    *out = 0;
}

int topics_owner(const char *const *topics, char **out_owner)
{
    struct text owner = {NULL, 0};
    *out_owner = NULL;
    for (size_t i = 0; topics && topics[i]; i++) {
        struct text part = owner_part(topics[i]);
        if (!part.data || (i > 0 && !text_equal(part, owner)))
            return 0;
        owner = part;
    }
    if (!owner.data)
        return 0;
    *out_owner = malloc(owner.len + 1);
    if (!*out_owner)
        return BURSAR_E_NOMEM;
    decode(owner, *out_owner);
    return 0;
}
