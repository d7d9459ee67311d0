/* The files of a configuration: the one that is named, then conf.d/(names).yaml beside it.
 * Thread: its owner. */
#ifndef CONFIG_FILES_H
#define CONFIG_FILES_H

#include <dirent.h>
#include <stddef.h>

#include "config/problem.h"
#include "config/yaml.h"

struct files_item {
    char *path;
    struct yaml *yaml; /* NULL where it could not be read */
};

struct files {
    struct files_item *items; /* in the order in which they count, the later over the earlier */
    size_t count;
};

/* Reads them all, also after a broken one. 0 or BURSAR_E_NOMEM; all else is a problem. Gives files
 * either way: they end after the problems, which borrow their names. */
int files_read(const char *path, struct problems *problems, struct files *out_files);
void files_free(struct files *files);

/* For scandir(): names that end with .yaml and are not hidden, by bytes whatever the locale. */
int files_is_yaml(const struct dirent *entry);
int files_by_name(const struct dirent **a, const struct dirent **b);
char *files_path(const char *folder, const char *name); /* gives; NULL without memory */

#endif
