#include "cmd/cmd_entry.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "config/yaml.h"
#include "connector/key.h"

enum { MORE_MAX = 65536, KEY_MAX = 16384, PROBLEMS_MAX = 65536 };

const char cmd_entry_folder[] = BURSAR_PKGDATADIR "/catalog";

bool cmd_entry_path(const char *word, const char *folder, struct buf *out_path)
{
    size_t len = strlen(word);
    bool is_path = strchr(word, '/') || (len > 5 && strcmp(word + len - 5, ".yaml") == 0);
    if (is_path)
        buf_append_string(out_path, word);
    else if (text_is_provider_id(text_of(word)))
        buf_printf(out_path, "%s/%s.yaml", folder, word);
    else
        return false;
    buf_append_byte(out_path, 0);
    return buf_error(out_path) == 0;
}

/* ---- what an operator would add ----------------------------------------------------------------- */

struct adding {
    const struct yaml_node *root;
    const struct bursar_option *options;
    struct buf more; /* secret */
    bool has_failed;
};

static const struct bursar_option *find(const struct adding *self, const char *name)
{
    for (const struct bursar_option *option = self->options; option->name; option++) {
        if (strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

static struct text value_of(const struct adding *self, const char *name)
{
    const struct yaml_node *node = yaml_get(self->root, name);
    const struct bursar_option *option = find(self, name);
    if (node)
        return yaml_text(node);
    return text_of(option ? option->default_text : NULL);
}

static void add(struct adding *self, const char *name, struct text value)
{
    buf_append_string(&self->more, name);
    buf_append_string(&self->more, ": ");
    buf_append_json(&self->more, value); /* which is YAML too */
    buf_append_byte(&self->more, '\n');
}

/* A key where one signs. */
static void add_key(struct adding *self, struct text kind)
{
    struct buf pem = buf_make_secret(KEY_MAX);
    const struct bursar_option *option = find(self, "private_key");
    bool is_wanted =
        option && !yaml_get(self->root, "private_key") &&
        (option->required || !find(self, "client_auth") || text_is(kind, "jwt_bearer") ||
         text_is(kind, "github_app") || text_is(value_of(self, "client_auth"), "private_key_jwt"));
    if (is_wanted && key_make(text_is(value_of(self, "key_algorithm"), "ES256"), &pem))
        add(self, "private_key", buf_text(&pem));
    else
        self->has_failed |= is_wanted;
    buf_free(&pem);
}

static struct text sample_of(const struct bursar_option *option)
{
    switch (option->type) {
    case BURSAR_OPTION_URL:
    case BURSAR_OPTION_TEMPLATE: return TEXT_LITERAL("https://provider.example/place");
    case BURSAR_OPTION_INTEGER:
    case BURSAR_OPTION_NUMBER: return TEXT_LITERAL("1");
    default: return TEXT_LITERAL("sample");
    }
}

/* What the kind cannot be without, and the client. */
static void add_keys(struct adding *self, struct text kind)
{
    bool is_public = text_is(value_of(self, "client_auth"), "none");
    if (find(self, "client_id"))
        add(self, "client_id", TEXT_LITERAL(CMD_ENTRY_CLIENT_ID));
    if (find(self, "client_secret") && !is_public)
        add(self, "client_secret", TEXT_LITERAL(CMD_ENTRY_CLIENT_SECRET));
    if (find(self, "client_secret_next") && !is_public)
        add(self, "client_secret_next", TEXT_LITERAL(CMD_ENTRY_CLIENT_SECRET "-next"));
    if (find(self, "app_id") && !yaml_get(self->root, "app_id"))
        add(self, "app_id", TEXT_LITERAL("12345"));
    add_key(self, kind);
    for (const struct bursar_option *option = self->options; option->name; option++) {
        bool is_there =
            yaml_get(self->root, option->name) != NULL || strcmp(option->name, "client_id") == 0 ||
            strcmp(option->name, "client_secret") == 0 || strcmp(option->name, "private_key") == 0;
        if (option->required && !is_there && option->type < BURSAR_OPTION_BOOL)
            add(self, option->name, sample_of(option));
    }
}

static int read_entry(const char *path, const struct registry *registry, struct adding *self,
                      struct yaml **out_yaml)
{
    struct problems problems = {0};
    int result = yaml_read_file(path, &problems, out_yaml);
    const struct config_kinds *kinds = registry_kinds(registry);
    problems_free(&problems);
    if (result == BURSAR_E_NOMEM || result < 0 || !*out_yaml)
        return result == BURSAR_E_NOMEM ? result : 0; /* config_load_entry() will say it better */
    self->root = (*out_yaml)->root;
    const struct yaml_node *kind = self->root ? yaml_get(self->root, "kind") : NULL;
    char *name = kind ? text_copy(yaml_text(kind)) : NULL;
    self->options = name ? kinds->options_of(kinds, name) : NULL;
    if (self->options)
        add_keys(self, text_of(name));
    free(name);
    return 0;
}

/* ---- loading ------------------------------------------------------------------------------------ */

int cmd_entry_load(const char *path, const struct registry *registry, struct cmd_entry *out_entry,
                   struct buf *errors)
{
    struct adding adding = {.more = buf_make_secret(MORE_MAX)};
    struct cmd_entry entry = {.provider = {0}};
    struct yaml *yaml = NULL;
    int result = read_entry(path, registry, &adding, &yaml);
    buf_append_byte(&adding.more, '\n');
    buf_append_byte(&adding.more, 0);
    if (result == 0 && (adding.has_failed || buf_error(&adding.more) != 0))
        result = BURSAR_E_NOMEM;
    if (result == 0)
        result = config_load_entry(path, registry_kinds(registry), (const char *)adding.more.data,
                                   true, &entry.provider, errors);
    yaml_free(yaml);
    buf_free(&adding.more);
    if (result < 0)
        return result;
    *out_entry = entry;
    result = connector_make(&out_entry->provider, registry, true, &out_entry->connector);
    if (result < 0)
        cmd_entry_free(out_entry);
    return result;
}

void cmd_entry_free(struct cmd_entry *entry)
{
    connector_fini(&entry->connector);
    config_provider_free(&entry->provider);
    *entry = (struct cmd_entry){.provider = {0}};
}
