#include "config/schema.h"

#include <string.h>

#include <bursar/protocol.h>

enum { MAX_SOCKET_PATH = 107, MAX_KEY_TEXT = 256 };

static bool begins_with(struct text text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

/* `tcp://HOST:PORT` with a port of its own, so that it is the same after it was bound again. */
static const char *check_tcp(struct text endpoint)
{
    const char *colon = memrchr(endpoint.data, ':', endpoint.len);
    size_t at = (size_t)(colon - endpoint.data);
    uint64_t port;
    if (at <= strlen("tcp://") ||
        !text_to_uint((struct text){colon + 1, endpoint.len - at - 1}, UINT16_MAX, &port) ||
        port == 0)
        return "must be tcp://HOST:PORT";
    return NULL;
}

static const char *check_endpoint(struct text endpoint, bool has_curve_key)
{
    if (begins_with(endpoint, "tcp://"))
        return has_curve_key ? check_tcp(endpoint)
                             : "tcp endpoints speak CURVE only: set listen.curve_key";
    if (!begins_with(endpoint, "ipc:///"))
        return "must be ipc:// and an absolute path";
    if (endpoint.len - strlen("ipc://") > MAX_SOCKET_PATH)
        return "the path of a socket can have 107 bytes at most";
    return NULL;
}

static const char *check_curve_key(struct text key, bool has_curve_key)
{
    (void)has_curve_key;
    return key.len == 40 ? NULL : "must be a key in Z85: 40 characters, as bursar init makes it";
}

static const char *check_store(struct text store, bool has_curve_key)
{
    (void)has_curve_key;
    if (begins_with(store, "postgresql:") || begins_with(store, "postgres:"))
        return "PostgreSQL is not supported by this version: use sqlite: and an absolute path";
    return begins_with(store, "sqlite:/") ? NULL : "must be sqlite: and an absolute path";
}

static const char *check_keyring(struct text keyring, bool has_curve_key)
{
    (void)has_curve_key;
    if (begins_with(keyring, "file:/") || begins_with(keyring, "command:/"))
        return NULL;
    size_t scheme_len = strlen("credential:");
    if (begins_with(keyring, "credential:") && keyring.len > scheme_len &&
        keyring.data[scheme_len] != '.' && !memchr(keyring.data, '/', keyring.len))
        return NULL;
    return "must be file: and an absolute path, credential: and a name, or command: and the"
           " absolute path of a program";
}

static const char *check_path(struct text path, bool has_curve_key)
{
    (void)has_curve_key;
    return begins_with(path, "/") ? NULL : "must be an absolute path";
}

/* What stands behind a row's help are the members that few rows have. */
#define ROW(path, kind, text, words, ...)                                                          \
    {                                                                                              \
        .option.name = (path), .option.type = BURSAR_OPTION_##kind, .option.default_text = (text), \
        .option.help = (words), __VA_ARGS__                                                        \
    }

/* `audit`, `connectors.catalog` and the like are known so that one file serves all versions. */
static const struct schema_row rows[] = {
    ROW("listen.jobs", LIST, "[\"" BURSAR_JOBS_ENDPOINT "\"]", "endpoints for jobs",
        .check = check_endpoint),
    ROW("listen.intake", LIST, "[\"" BURSAR_INTAKE_ENDPOINT "\"]",
        "endpoints for jobs without a reply", .check = check_endpoint),
    ROW("listen.events", LIST, "[\"" BURSAR_EVENTS_ENDPOINT "\"]", "endpoints for subscribers",
        .check = check_endpoint),
    ROW("listen.curve_key", SECRET, NULL, "the daemon's secret CURVE key in Z85",
        .check = check_curve_key),
    ROW("listen.io_threads", INTEGER, "1",
        "ZeroMQ's threads, among which connections are divided: they read, write and encrypt",
        .option.min = 1, .option.max = 16),
    ROW("store", STRING, "sqlite:/var/lib/bursar/bursar.db", "where credentials are kept",
        .check = check_store),
    ROW("keyring", STRING, "file:/etc/bursar/keyring", "the keys that seal credentials",
        .check = check_keyring),
    ROW("keyring_passphrase", SECRET, NULL, "what the keyring's text is under, where it is"),
    ROW("audit", CHOICE, "buffered", "whether a vend waits for its audit row",
        .option.choices = "buffered|strict"),
    ROW("audit_keep_days", INTEGER, "365", "how long rows of the audit log are kept, in days",
        .option.min = 1, .option.max = 36500),
    ROW("sandbox", CHOICE, "enforce",
        "what is done about a system call that the daemon never needs",
        .option.choices = "enforce|log|off"),
    ROW("log.level", CHOICE, "info", "the least important line that is logged",
        .option.choices = "error|warning|info|debug"),
    ROW("log.format", CHOICE, "text", "how a line of the log looks", .option.choices = "text|json"),
    ROW("max_job_bytes", INTEGER, "65536", "the largest body of a job, in bytes",
        .option.min = 1024, .option.max = 16777216),
    ROW("events.reminder_s", INTEGER, "86400",
        "how often the owner of a dead grant is reminded, in seconds", .option.min = 1,
        .option.max = 31536000),
    ROW("events.keep_days", INTEGER, "30", "how long the event log is kept, in days",
        .option.min = 1, .option.max = 36500),
    ROW("connectors.experimental", BOOL, "false",
        "whether connectors marked experimental can be used"),
    ROW("connectors.catalog", LIST, "[\"" BURSAR_PKGDATADIR "/catalog\"]",
        "folders with descriptions of providers, a later one over an earlier one",
        .check = check_path),
    ROW("connectors.modules", LIST, "[\"" BURSAR_PKGLIBDIR "/workers\"]",
        "folders with connector modules", .check = check_path),
    ROW("connectors.allow_http_loopback", BOOL, "false",
        "whether http:// may be used on 127.0.0.0/8 and ::1, for tests"),
    ROW("connectors.idle_s", INTEGER, "60",
        "how long a provider's worker has nothing to do before its thread ends; 0: it stays",
        .option.min = 0, .option.max = 86400),
    ROW("connectors.ca_file", STRING, NULL,
        "certificate authorities that providers may have, a PEM file; absent: the system's",
        .check = check_path),
    ROW("connectors.allow_private_addresses", BOOL, "false",
        "whether providers may have addresses of private networks"),
    ROW("vars", MAP, NULL, "values for ${vars.NAME}", .is_section = true),
    ROW("defaults", MAP, NULL, "what providers have that do not say otherwise", .is_section = true),
    ROW("providers", MAP, NULL, "providers by their id", .is_section = true),
    ROW("auth", MAP, NULL, "shared credentials by their name", .is_section = true),
    ROW("principals", MAP, NULL, "who may speak", .is_section = true),
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const struct schema_row *schema_rows(size_t *out_count)
{
    *out_count = ROW_COUNT;
    return rows;
}

static const struct schema_row *find_row(struct text group, struct text name)
{
    char full[MAX_KEY_TEXT];
    size_t len = group.len + (group.len > 0) + name.len;
    if (len >= sizeof full)
        return NULL;
    memcpy(full, group.data, group.len);
    if (group.len > 0)
        full[group.len] = '.';
    memcpy(full + len - name.len, name.data, name.len);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (text_is((struct text){full, len}, rows[i].option.name))
            return &rows[i];
    }
    return NULL;
}

/* The part of a row's path that stands directly under group; absent where it is elsewhere. */
static struct text name_under(const struct schema_row *row, struct text group)
{
    struct text path = text_of(row->option.name);
    if (group.len > 0) {
        if (path.len <= group.len || memcmp(path.data, group.data, group.len) != 0 ||
            path.data[group.len] != '.')
            return (struct text){NULL, 0};
        path = (struct text){path.data + group.len + 1, path.len - group.len - 1};
    }
    const char *dot = memchr(path.data, '.', path.len);
    return (struct text){path.data, dot ? (size_t)(dot - path.data) : path.len};
}

static bool is_group(struct text name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (name_under(&rows[i], name).data)
            return true;
    }
    return false;
}

static const char *nearest_under(struct text group, struct text name, char out[static MAX_KEY_TEXT])
{
    size_t best = SIZE_MAX;
    struct text found = {NULL, 0};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct text sibling = name_under(&rows[i], group);
        if (!sibling.data || rows[i].refusal || text_distance(name, sibling) >= best)
            continue;
        best = text_distance(name, sibling);
        found = sibling;
    }
    if (!found.data || found.len >= MAX_KEY_TEXT)
        return NULL;
    memcpy(out, found.data, found.len);
    out[found.len] = 0;
    const char *const names[] = {out};
    return text_nearest(name, names, 1); /* near enough to be meant? */
}

static void check_one(const struct schema_reading *reading, const struct schema_row *row,
                      struct text value, struct spot spot)
{
    const char *problem = row->check(value, reading->has_curve_key);
    if (problem)
        problem_add(spot, "%s", problem);
}

static void check_setting(const struct schema_reading *reading, const struct schema_row *row,
                          const struct setting *setting, const struct yaml_node *node,
                          struct spot spot)
{
    if (!row->check)
        return;
    if (row->option.type == BURSAR_OPTION_SECRET)
        check_one(reading, row, secret_text(&setting->secret), spot);
    else if (row->option.type != BURSAR_OPTION_LIST)
        check_one(reading, row, text_of(setting->text), spot);
    for (size_t i = 0; i < setting->item_count; i++) {
        struct key_path path = {spot.path, {NULL, 0}, i};
        struct spot item = {spot.problems, node->items[i]->mark, &path};
        check_one(reading, row, text_of(setting->items[i].value), item);
    }
}

static void read_row(const struct schema_reading *reading, const struct schema_row *row,
                     const struct yaml_node *node, struct spot spot, struct settings *settings)
{
    struct setting setting;
    if (row->refusal) {
        problem_add(spot, "%s", row->refusal);
        return;
    }
    if (row->is_section)
        return;
    if (!value_read(node, &row->option, reading->rules, spot, &setting))
        return;
    check_setting(reading, row, &setting, node, spot); /* what is wrong makes the load fail */
    if (!settings_put(settings, &setting))
        reading->problems->is_out_of_memory = true;
}

static void read_group(const struct schema_reading *reading, const struct yaml_node *map,
                       struct text group, const struct key_path *parent, struct settings *settings)
{
    for (size_t i = 0; i + 1 < map->item_count; i += 2) {
        const struct yaml_node *key = map->items[i];
        const struct yaml_node *value = map->items[i + 1];
        struct text name = yaml_text(key);
        struct key_path path = {parent, name, 0};
        struct spot spot = {reading->problems, key->mark, &path};
        const struct schema_row *row = find_row(group, name);
        char nearest[MAX_KEY_TEXT];
        if (row) {
            spot.mark = row->refusal ? key->mark : value->mark;
            read_row(reading, row, value, spot, settings);
        } else if (group.len > 0 || !is_group(name)) {
            problem_add_nearest(spot, "unknown key", nearest_under(group, name, nearest));
        } else if (value->type == YAML_MAP) {
            read_group(reading, value, name, &path, settings);
        } else if (value->type != YAML_NULL) {
            problem_add(spot, "must be a map, not %s", yaml_type_name(value->type));
        }
    }
}

void schema_read(const struct schema_reading *reading, const struct yaml_node *root,
                 struct settings *settings)
{
    read_group(reading, root, TEXT_LITERAL(""), NULL, settings);
}

void schema_fill(const struct schema_reading *reading, const char *file, struct settings *settings)
{
    struct spot spot = {reading->problems, {file, 0, 0}, NULL};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct setting setting;
        const struct bursar_option *option = &rows[i].option;
        if (!option->default_text || settings_find(settings, option->name))
            continue;
        if (value_default(option, reading->rules, spot, &setting) &&
            !settings_put(settings, &setting))
            reading->problems->is_out_of_memory = true;
    }
}
