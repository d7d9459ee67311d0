/* The catalogue: folders of files, each one provider, named by its file (`github.yaml` is `github`).
 * Thread: its owner. */
#ifndef CONFIG_CATALOG_H
#define CONFIG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/problem.h"
#include "config/yaml.h"

#define CATALOG_MAX_ENTRIES 4096u

struct catalog_entry {
    char *path;
    struct yaml *yaml;
    struct yaml_node key; /* the id, as if it were a key of a map, at the file's first line */
};

struct catalog {
    struct catalog_entry *entries; /* sorted by id; no id twice */
    size_t count;
    struct catalog_entry *hidden; /* whose place another took; problems may borrow their names */
    size_t hidden_count;
};

/* Adds a folder over what is there: a file of the same name takes the place of an earlier one, as a
 * whole. 0 or BURSAR_E_NOMEM; all else is a problem, at spot where it is the folder's. A folder that
 * is not there is none (`bursar doctor` tells). Problems borrow the catalogue's names. */
int catalog_add_folder(struct catalog *catalog, const char *folder, struct problems *problems,
                       struct spot spot);
/* The same with one file. */
int catalog_add_file(struct catalog *catalog, const char *path, struct problems *problems);
void catalog_free(struct catalog *catalog);

/* The map of an id's file, or NULL. */
const struct yaml_node *catalog_find(const struct catalog *catalog, struct text id);

#endif
