/* Runs a fuzz target over files and folders of inputs, one line of TAP for each: what libFuzzer's own
 * main does where there is one, and for compilers that have none. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { INPUT_BYTES_MAX = 4 << 20, PATH_SIZE = 4096 };

struct replay {
    size_t count, failed;
};

/* Gives a copy of no more than the file's bytes, so that a checker sees each read behind them. */
static uint8_t *read_file(const char *name, size_t *out_size)
{
    FILE *file = fopen(name, "rb");
    uint8_t *all = malloc(INPUT_BYTES_MAX);
    uint8_t *exact = NULL;
    if (file && all) {
        size_t size = fread(all, 1, INPUT_BYTES_MAX, file);
        bool is_whole = !ferror(file) && fgetc(file) == EOF;
        if (!is_whole && !ferror(file))
            errno = EFBIG;
        exact = is_whole ? malloc(size > 0 ? size : 1) : NULL;
        if (exact)
            memcpy(exact, all, size);
        *out_size = size;
    }
    free(all);
    if (file)
        fclose(file);
    return exact;
}

static void run_file(struct replay *replay, const char *name)
{
    size_t size = 0;
    uint8_t *data = read_file(name, &size);
    replay->count++;
    if (!data) {
        printf("not ok %zu - %s\n# %s\n", replay->count, name, strerror(errno));
        replay->failed++;
        return;
    }
    fprintf(stderr, "%s\n", name); /* the last one names the culprit of a crash */
    LLVMFuzzerTestOneInput(data, size);
    printf("ok %zu - %s\n", replay->count, name);
    free(data);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_folder(struct replay *replay, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count <= 0) {
        printf("not ok %zu - %s\n# no inputs\n", ++replay->count, folder);
        replay->failed++;
    }
    for (int i = 0; i < count; i++) {
        char name[PATH_SIZE];
        int len = snprintf(name, sizeof name, "%s/%s", folder, entries[i]->d_name);
        if (len > 0 && (size_t)len < sizeof name)
            run_file(replay, name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    struct replay replay = {0, 0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode))
            run_folder(&replay, argv[i]);
        else
            run_file(&replay, argv[i]);
    }
    if (replay.count == 0) {
        fprintf(stderr, "usage: %s FILE|FOLDER…\n", argv[0]);
        return 2;
    }
    printf("1..%zu\n", replay.count);
    return replay.failed == 0 ? 0 : 1;
}
