#include "config/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

enum { MAX_FILES = 1000, MAX_PATH = 4096 };

void files_free(struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        yaml_free(files->items[i].yaml);
        free(files->items[i].path);
    }
    free(files->items);
    *files = (struct files){NULL, 0};
}

/* Takes path. */
static int add(struct files *files, char *path, struct problems *problems)
{
    struct files_item *items =
        path ? reallocarray(files->items, files->count + 1, sizeof *items) : NULL;
    if (!items) {
        free(path);
        return BURSAR_E_NOMEM;
    }
    files->items = items;
    struct files_item *item = &items[files->count++];
    *item = (struct files_item){path, NULL};
    problems_begin_file(problems, path);
    int error = yaml_read_file(path, problems, &item->yaml);
    return error == BURSAR_E_NOMEM ? error : 0;
}

int files_is_yaml(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

/* By bytes, whatever the locale, so that the order is the same everywhere. */
int files_by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

char *files_path(const char *folder, const char *name)
{
    struct buf path = buf_make(MAX_PATH);
    buf_printf(&path, "%s/%s", folder, name);
    return buf_take_string(&path);
}

static char *folder_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct buf folder = buf_make(MAX_PATH);
    if (slash)
        buf_append(&folder, path, (size_t)(slash - path) + 1);
    buf_append_string(&folder, "conf.d");
    return buf_take_string(&folder);
}

static int add_folder(struct files *files, const char *folder, struct problems *problems)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, files_is_yaml, files_by_name);
    int error = 0;
    if (count < 0 && errno == ENOMEM)
        return BURSAR_E_NOMEM;
    if (count < 0 && errno != ENOENT)
        problem_add((struct spot){problems, {files->items[0].path, 0, 0}, NULL},
                    "the folder conf.d beside it cannot be read: %s", strerror(errno));
    if (count > MAX_FILES)
        problem_add((struct spot){problems, {files->items[0].path, 0, 0}, NULL},
                    "more than %d files in conf.d", MAX_FILES);
    for (int i = 0; i < count; i++) {
        if (error == 0 && i < MAX_FILES)
            error = add(files, files_path(folder, names[i]->d_name), problems);
        free(names[i]);
    }
    free(names);
    return error;
}

int files_read(const char *path, struct problems *problems, struct files *out_files)
{
    struct files files = {NULL, 0};
    char *folder = folder_beside(path);
    int error = folder ? add(&files, strdup(path), problems) : BURSAR_E_NOMEM;
    if (error == 0)
        error = add_folder(&files, folder, problems);
    free(folder);
    *out_files = files; /* half-read too: problems borrow the names */
    return error;
}
