#include "config/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "config/files.h"

static void entry_free(struct catalog_entry *entry)
{
    yaml_free(entry->yaml);
    free(entry->path);
    free(entry->key.text);
}

void catalog_free(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++)
        entry_free(&catalog->entries[i]);
    for (size_t i = 0; i < catalog->hidden_count; i++)
        entry_free(&catalog->hidden[i]);
    free(catalog->entries);
    free(catalog->hidden);
    *catalog = (struct catalog){NULL, 0, NULL, 0};
}

/* Where an id stands or would stand. */
static size_t place_of(const struct catalog *catalog, struct text id, bool *out_is_there)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(yaml_text(&catalog->entries[middle].key), id);
        if (order == 0) {
            *out_is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_is_there = false;
    return low;
}

static int hide(struct catalog *catalog, struct catalog_entry *entry)
{
    struct catalog_entry *hidden =
        reallocarray(catalog->hidden, catalog->hidden_count + 1, sizeof *hidden);
    if (!hidden)
        return BURSAR_E_NOMEM;
    catalog->hidden = hidden;
    hidden[catalog->hidden_count++] = *entry;
    return 0;
}

/* Takes the entry. */
static int insert(struct catalog *catalog, struct catalog_entry *entry)
{
    bool is_there;
    size_t at = place_of(catalog, yaml_text(&entry->key), &is_there);
    if (is_there) {
        struct catalog_entry old = catalog->entries[at];
        catalog->entries[at] = *entry;
        return hide(catalog, &old);
    }
    struct catalog_entry *entries =
        reallocarray(catalog->entries, catalog->count + 1, sizeof *entries);
    if (!entries) {
        entry_free(entry);
        return BURSAR_E_NOMEM;
    }
    memmove(entries + at + 1, entries + at, (catalog->count - at) * sizeof *entries);
    entries[at] = *entry;
    catalog->entries = entries;
    catalog->count++;
    return 0;
}

static struct text id_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    return (struct text){name, len > 5 && strcmp(name + len - 5, ".yaml") == 0 ? len - 5 : len};
}

/* Takes path. The file's place in messages is the path as long as the catalogue lives. */
static int add_file(struct catalog *catalog, char *path, struct problems *problems)
{
    struct catalog_entry entry = {.path = path};
    if (!path)
        return BURSAR_E_NOMEM;
    struct text id = id_of(path);
    entry.key = (struct yaml_node){.type = YAML_SCALAR, .mark = {path, 1, 1}};
    entry.key.text = text_copy(id);
    entry.key.text_len = id.len;
    problems_begin_file(problems, path);
    int error = entry.key.text ? yaml_read_file(path, problems, &entry.yaml) : BURSAR_E_NOMEM;
    if (error == BURSAR_E_NOMEM) {
        entry_free(&entry);
        return error;
    }
    return insert(catalog, &entry); /* a broken one too: its name is known, its problems tell */
}

int catalog_add_file(struct catalog *catalog, const char *path, struct problems *problems)
{
    return add_file(catalog, strdup(path), problems);
}

int catalog_add_folder(struct catalog *catalog, const char *folder, struct problems *problems,
                       struct spot spot)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, files_is_yaml, files_by_name);
    int error = 0;
    if (count < 0 && errno == ENOMEM)
        return BURSAR_E_NOMEM;
    if (count < 0 && errno != ENOENT)
        problem_add(spot, "the folder cannot be read: %s", strerror(errno));
    if (count > (int)CATALOG_MAX_ENTRIES)
        problem_add(spot, "has more than %u files", CATALOG_MAX_ENTRIES);
    for (int i = 0; i < count; i++) {
        if (error == 0 && i < (int)CATALOG_MAX_ENTRIES)
            error = add_file(catalog, files_path(folder, names[i]->d_name), problems);
        free(names[i]);
    }
    free(names);
    return error;
}

const struct yaml_node *catalog_find(const struct catalog *catalog, struct text id)
{
    bool is_there;
    size_t at = place_of(catalog, id, &is_there);
    return is_there && catalog->entries[at].yaml ? catalog->entries[at].yaml->root : NULL;
}
