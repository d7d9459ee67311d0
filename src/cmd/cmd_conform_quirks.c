#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "cmd/cmd_conform.h"
#include "config/yaml.h"

enum { ERRORS_MAX = 1 << 20, LINE_MAX_BYTES = 8192, NAME_SIZE = 80 };

/* One deviation: providers that show it, and what is played. */
struct quirk {
    struct conforming *self;
    struct text id;
    const struct yaml_node *providers, *cases;
    struct buf failures; /* lines */
    const char *provider;
    size_t runs;
};

/* Items of a list, keys of a map, or the scalar itself as a list of one. */
static size_t count_of(const struct yaml_node *node)
{
    if (!node || node->type == YAML_NULL)
        return 0;
    if (node->type == YAML_MAP)
        return node->item_count / 2;
    return node->type == YAML_LIST ? node->item_count : 1;
}

static struct text item_of(const struct yaml_node *node, size_t index)
{
    if (node->type == YAML_MAP)
        return yaml_text(node->items[2 * index]);
    return yaml_text(node->type == YAML_LIST ? node->items[index] : node);
}

/* Whether a provider shows this behaviour: all do, where nothing else is said. */
static bool shows(const struct quirk *quirk, size_t index, const char *provider)
{
    const struct yaml_node *cases = quirk->cases;
    const struct yaml_node *only = cases->type == YAML_MAP ? cases->items[2 * index + 1] : NULL;
    bool is_listed = only == NULL;
    for (size_t i = 0; i < count_of(only); i++)
        is_listed = is_listed || text_is(item_of(only, i), provider);
    return is_listed;
}

static void print_names(const struct yaml_node *node)
{
    for (size_t i = 0; i < count_of(node); i++) {
        struct text name = item_of(node, i);
        printf("%s%.*s", i > 0 ? ", " : "", (int)name.len, name.data);
    }
}

static void keep_failure(void *context, const char *name, const char *failure)
{
    struct quirk *quirk = context;
    quirk->runs++;
    if (failure)
        buf_printf(&quirk->failures, "%s, %s: %s\n", quirk->provider, name, failure);
}

static int try_one(struct quirk *quirk, struct cmd_entry *entry, struct text which)
{
    char name[NAME_SIZE];
    struct conform conform = {
        .connector = &entry->connector, .tell = keep_failure, .context = quirk};
    snprintf(name, sizeof name, "%.*s", (int)which.len, which.data);
    int result = conforming_quirk(quirk->self, &conform, &entry->connector, name);
    if (result == BURSAR_E_NOT_FOUND)
        buf_printf(&quirk->failures, "there is no case \"%s\"\n", name);
    return result == BURSAR_E_NOT_FOUND ? 0 : result;
}

static int try_provider(struct quirk *quirk, struct text provider)
{
    struct cmd_entry entry;
    struct buf errors = buf_make(ERRORS_MAX);
    char word[NAME_SIZE];
    snprintf(word, sizeof word, "%.*s", (int)provider.len, provider.data);
    int result = conforming_load(quirk->self, word, &entry, &errors);
    quirk->provider = word;
    if (result == 0) {
        for (size_t i = 0; i < count_of(quirk->cases) && result == 0; i++) {
            if (shows(quirk, i, word))
                result = try_one(quirk, &entry, item_of(quirk->cases, i));
        }
        cmd_entry_free(&entry);
    } else if (result == BURSAR_E_CONFIG) {
        buf_append_string(&quirk->failures, (const char *)errors.data);
        result = 0;
    }
    buf_free(&errors);
    return result;
}

/* Each line of what failed, behind this. */
static void print_lines(const struct buf *lines, const char *before)
{
    const char *at = lines->len > 0 ? (const char *)lines->data : "";
    while (*at) {
        size_t len = strcspn(at, "\n");
        printf("%s%.*s\n", before, (int)len, at);
        at += len + (at[len] == '\n');
    }
}

static void print_quirk(struct quirk *quirk)
{
    struct conforming *self = quirk->self;
    bool is_tap = cmd_option(self->args, "tap") != NULL;
    bool is_ok = quirk->failures.len == 0 && quirk->runs > 0;
    self->count++;
    self->failed += !is_ok;
    if (is_tap)
        printf("%sok %zu - ", is_ok ? "" : "not ", self->count);
    printf("%-4.*s ", (int)quirk->id.len, quirk->id.data);
    print_names(quirk->providers);
    printf(": ");
    print_names(quirk->cases);
    printf("%s\n", is_tap ? "" : is_ok ? ": passed" : ": failed");
    print_lines(&quirk->failures, is_tap ? "# " : "    ");
}

static int try_quirk(struct conforming *self, struct text id, const struct yaml_node *map)
{
    struct quirk quirk = {.self = self,
                          .id = id,
                          .providers = yaml_get(map, "provider"),
                          .cases = yaml_get(map, "case"),
                          .failures = buf_make(ERRORS_MAX)};
    int result = 0;
    if (count_of(quirk.providers) == 0 || count_of(quirk.cases) == 0)
        buf_append_string(&quirk.failures, "needs the keys \"provider\" and \"case\"\n");
    for (size_t i = 0; result == 0 && quirk.failures.len == 0 && i < count_of(quirk.providers); i++)
        result = try_provider(&quirk, item_of(quirk.providers, i));
    print_quirk(&quirk);
    buf_free(&quirk.failures);
    return result;
}

int conforming_quirks(struct conforming *self, const char *path)
{
    struct problems problems = {0};
    struct yaml *yaml = NULL;
    struct buf errors = buf_make(ERRORS_MAX);
    int result = yaml_read_file(path, &problems, &yaml);
    const struct yaml_node *root = yaml ? yaml->root : NULL;
    if (result == 0 && problems.count == 0 && (!root || root->type != YAML_MAP)) {
        fprintf(stderr, "bursar conform: %s: must be a map of deviations\n", path);
        result = BURSAR_E_CONFIG;
    }
    problems_print(&problems, &errors);
    if (problems.count > 0) {
        fwrite(errors.data, 1, errors.len, stderr);
        result = BURSAR_E_CONFIG;
    }
    if (result == 0 && cmd_option(self->args, "tap"))
        printf("1..%zu\n", root->item_count / 2);
    for (size_t i = 0; result == 0 && i + 1 < root->item_count; i += 2)
        result = try_quirk(self, yaml_text(root->items[i]), root->items[i + 1]);
    yaml_free(yaml);
    problems_free(&problems);
    buf_free(&errors);
    return result;
}
