#include "store/store.h"

#include <string.h>

#include "store/sqlite/sqlite_store.h"

static const struct store_engine *const engines[] = {&sqlite_engine};

void store_own_process(void)
{
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++)
        engines[i]->own_process();
}

const struct store_engine *store_engine_of(const char *uri, const char **out_where)
{
    const char *colon = strchr(uri, ':');
    if (!colon)
        return NULL;
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        if (text_is((struct text){uri, (size_t)(colon - uri)}, engines[i]->scheme)) {
            *out_where = colon + 1;
            return engines[i];
        }
    }
    return NULL;
}
