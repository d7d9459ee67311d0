#include "connector/paths.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct known {
    const char *text;
    _Atomic(struct path *) path; /* NULL until it is compiled */
};

struct paths {
    size_t count;
    struct known known[]; /* by address */
};

static size_t count_of(const struct setting *setting)
{
    if (setting->option->type == BURSAR_OPTION_PATH)
        return setting->text ? 1 : 0;
    return setting->option->type == BURSAR_OPTION_PATHS ? setting->item_count : 0;
}

static int by_address(const void *a, const void *b)
{
    const char *one = ((const struct known *)a)->text, *other = ((const struct known *)b)->text;
    return one < other ? -1 : one > other;
}

struct paths *paths_make(const struct settings *settings)
{
    size_t count = 0;
    for (size_t i = 0; i < settings->count; i++)
        count += count_of(&settings->values[i]);
    struct paths *paths = calloc(1, sizeof *paths + count * sizeof paths->known[0]);
    if (!paths)
        return NULL;
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->values[i];
        for (size_t j = 0; j < count_of(setting); j++)
            paths->known[paths->count++].text = setting->option->type == BURSAR_OPTION_PATH
                                                    ? setting->text
                                                    : setting->items[j].value;
    }
    qsort(paths->known, paths->count, sizeof paths->known[0], by_address);
    return paths;
}

void paths_free(struct paths *paths)
{
    for (size_t i = 0; paths && i < paths->count; i++)
        path_free(atomic_load(&paths->known[i].path));
    free(paths);
}

/* Two threads may compile the same one; the first stays. */
static const struct path *compile(struct known *known)
{
    struct path *made = NULL, *before = NULL;
    struct buf error = buf_make(256);
    if (path_compile(text_of(known->text), &made, &error) == 0 &&
        !atomic_compare_exchange_strong(&known->path, &before, made)) {
        path_free(made);
        made = before;
    }
    buf_free(&error);
    return made;
}

const struct path *paths_find(const struct paths *paths, struct text text)
{
    struct known wanted = {.text = text.data};
    struct known *found =
        paths ? bsearch(&wanted, paths->known, paths->count, sizeof paths->known[0], by_address)
              : NULL;
    if (!found || strnlen(found->text, text.len + 1) != text.len)
        return NULL;
    const struct path *path = atomic_load_explicit(&found->path, memory_order_acquire);
    return path ? path : compile(found);
}
