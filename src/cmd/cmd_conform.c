#include "cmd/cmd_conform.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "cmd/cmd_table.h"

enum { ERRORS_MAX = 1 << 20, PATH_SIZE = 4096, NAME_WIDTH = 28 };

/* ---- what is printed ---------------------------------------------------------------------------- */

/* What came of one entry. */
struct result {
    const char *id;
    json_t *cases; /* [{"case": …, "failure": …|null}] */
    size_t passed, failed;
    const char *problem; /* why it could not be looked at */
};

static void keep_case(void *context, const char *name, const char *failure)
{
    struct result *result = context;
    json_t *item = json_pack("{s:s,s:s?}", "case", name, "failure", failure);
    if (item)
        json_array_append_new(result->cases, item);
}

static void print_people(const struct result *result, bool is_long)
{
    size_t index;
    json_t *item;
    if (result->problem)
        printf("%-*s cannot be read\n%s", NAME_WIDTH, result->id, result->problem);
    else if (result->failed > 0)
        printf("%-*s %zu of %zu cases failed\n", NAME_WIDTH, result->id, result->failed,
               result->passed + result->failed);
    else if (result->passed == 0)
        printf("%-*s no case applies\n", NAME_WIDTH, result->id);
    else
        printf("%-*s %zu cases passed\n", NAME_WIDTH, result->id, result->passed);
    json_array_foreach(result->cases, index, item) {
        const char *failure = json_string_value(json_object_get(item, "failure"));
        if (failure || is_long)
            printf("    %s: %s\n", json_string_value(json_object_get(item, "case")),
                   failure ? failure : "passed");
    }
}

/* Lines behind a `#`, which TAP reads as a remark. */
static void print_remark(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        printf("# %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void print_tap(const struct result *result, size_t number)
{
    size_t index;
    json_t *item;
    bool is_ok = !result->problem && result->failed == 0;
    printf("%sok %zu - %s: %zu cases\n", is_ok ? "" : "not ", number, result->id,
           result->passed + result->failed);
    if (result->problem)
        print_remark(result->problem);
    json_array_foreach(result->cases, index, item) {
        const char *failure = json_string_value(json_object_get(item, "failure"));
        if (failure)
            printf("# %s: %s\n", json_string_value(json_object_get(item, "case")), failure);
    }
}

static void print_json(const struct result *result)
{
    json_t *root = json_pack("{s:s,s:i,s:i,s:O,s:s?}", "provider", result->id, "passed",
                             (int)result->passed, "failed", (int)result->failed, "cases",
                             result->cases, "problem", result->problem);
    if (root)
        json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(root);
}

static void print_result(struct conforming *self, const struct result *result)
{
    self->count++;
    self->failed += result->problem || result->failed > 0;
    if (cmd_option(self->args, "tap"))
        print_tap(result, self->count);
    else if (self->args->is_json)
        print_json(result);
    else
        print_people(result, cmd_option(self->args, "list") != NULL);
}

/* ---- one entry ---------------------------------------------------------------------------------- */

static const char *folder_of(const struct cmd_args *args)
{
    const char *folder = cmd_option(args, "catalog");
    return folder ? folder : cmd_entry_folder;
}

int conforming_load(struct conforming *self, const char *word, struct cmd_entry *out_entry,
                    struct buf *errors)
{
    struct buf path = buf_make(PATH_SIZE);
    int result = BURSAR_E_CONFIG;
    if (cmd_entry_path(word, folder_of(self->args), &path))
        result = cmd_entry_load((const char *)path.data, self->registry, out_entry, errors);
    else
        buf_printf(errors, "\"%s\" is no provider's id and no path of a file\n", word);
    buf_append_byte(errors, 0);
    buf_free(&path);
    return result;
}

static int look_at(struct conforming *self, const char *word)
{
    struct cmd_entry entry, other;
    struct buf errors = buf_make(ERRORS_MAX);
    const char *against = cmd_option(self->args, "against");
    struct result result = {.id = word, .cases = json_array()};
    int error = conforming_load(self, word, &entry, &errors);
    bool is_loaded = error == 0;
    if (error == 0 && against)
        error = conforming_load(self, against, &other, &errors);
    if (error == 0) {
        struct conform conform = {.connector = &entry.connector,
                                  .only = cmd_option(self->args, "case"),
                                  .tell = keep_case,
                                  .context = &result};
        result.id = entry.provider.id;
        error = conforming_run(self, &conform, against ? &other.connector : &entry.connector);
        result.passed = conform.passed;
        result.failed = conform.failed;
        if (against)
            cmd_entry_free(&other);
    } else {
        result.problem = errors.len > 1 ? (const char *)errors.data : "no memory\n";
    }
    print_result(self, &result);
    if (is_loaded)
        cmd_entry_free(&entry);
    json_decref(result.cases);
    buf_free(&errors);
    return error == BURSAR_E_NOMEM ? error : 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

static int is_yaml(const struct dirent *item)
{
    size_t len = strlen(item->d_name);
    return item->d_name[0] != '.' && len > 5 && strcmp(item->d_name + len - 5, ".yaml") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int look_at_all(struct conforming *self)
{
    struct dirent **items = NULL;
    const char *folder = folder_of(self->args);
    int result = 0, count = scandir(folder, &items, is_yaml, by_name);
    if (count < 0) {
        fprintf(stderr, "bursar conform: %s: %s\n", folder, strerror(errno));
        return BURSAR_E_CONFIG;
    }
    if (cmd_option(self->args, "tap"))
        printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        items[i]->d_name[strlen(items[i]->d_name) - 5] = 0;
        if (result == 0)
            result = look_at(self, items[i]->d_name);
        free(items[i]);
    }
    free(items);
    return result;
}

static int look_at_words(struct conforming *self)
{
    int result = 0;
    const struct cmd_args *args = self->args;
    if (args->word_count == 1 && strcmp(args->words[0], "all") == 0)
        return look_at_all(self);
    if (cmd_option(args, "tap"))
        printf("1..%zu\n", args->word_count);
    for (size_t i = 0; i < args->word_count && result == 0; i++)
        result = look_at(self, args->words[i]);
    return result;
}

static int run(const struct cmd_args *args)
{
    struct conforming self = {.args = args};
    const char *quirks = cmd_option(args, "quirks");
    if ((args->word_count == 0) != (quirks != NULL))
        return cmd_usage(&cmd_conform, "name providers, files, or `all`; or --quirks alone");
    int result = conforming_open(&self);
    if (result == 0)
        result = quirks ? conforming_quirks(&self, quirks) : look_at_words(&self);
    conforming_close(&self);
    return result == 0 && self.failed == 0 ? CMD_DONE : CMD_REFUSED;
}

static const struct cmd_option options[] = {
    {"catalog", "DIR", "the folder of the catalogue"},
    {"against", "ENTRY", "the provider is played by this entry"},
    {"case", "NAME", "this case alone"},
    {"list", NULL, "name the cases that passed too"},
    {"tap", NULL, "print the Test Anything Protocol"},
    {"quirks", "FILE", "the deviations that a file names, each at its provider"},
    {NULL, NULL, NULL},
};

const struct cmd cmd_conform = {
    "conform",
    "PROVIDER|FILE|all…",
    "try entries against simulated providers",
    options,
    0,
    CMD_MAX_WORDS,
    run,
};
