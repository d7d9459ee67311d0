#include "config/yaml.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libfyaml.h>

#include <bursar/error.h>

#include "base/secret.h"

enum { MAX_EVENTS = 4 * YAML_MAX_NODES }; /* more than any tree within the bounds has */

struct anchor {
    char *name;
    struct yaml_node *node;
};

/* What is under construction. stack holds the lists and maps that are open now. */
struct builder {
    struct yaml *yaml;
    struct problems *problems;
    struct yaml_node *stack[YAML_MAX_DEPTH];
    unsigned depth;
    struct anchor anchors[YAML_MAX_ANCHORS];
    size_t anchor_count;
    struct mark mark; /* of the last token that had one */
    size_t documents;
    int error; /* BURSAR_E_CONFIG: no use in going on */
};

/* ---- the tree ------------------------------------------------------------------------------- */

void yaml_free(struct yaml *yaml)
{
    if (!yaml)
        return;
    while (yaml->newest) {
        struct yaml_node *node = yaml->newest;
        yaml->newest = node->older;
        secret_wipe(node->text, node->text_len);
        free(node->text);
        free(node->items);
        free(node);
    }
    free(yaml);
}

struct text yaml_text(const struct yaml_node *node)
{
    return (struct text){node->text, node->text_len};
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->type != YAML_MAP)
        return NULL;
    for (size_t i = 0; i + 1 < map->item_count; i += 2) {
        if (text_is(yaml_text(map->items[i]), key))
            return map->items[i + 1];
    }
    return NULL;
}

const char *yaml_type_name(enum yaml_type type)
{
    static const char *const names[] = {[YAML_NULL] = "nothing",
                                        [YAML_SCALAR] = "text",
                                        [YAML_LIST] = "a list",
                                        [YAML_MAP] = "a map"};
    return names[type];
}

/* ---- building ------------------------------------------------------------------------------- */

static struct spot spot_of(const struct builder *builder)
{
    return (struct spot){builder->problems, builder->mark, NULL};
}

static void give_up(struct builder *builder, const char *message)
{
    if (builder->error == 0)
        problem_add(spot_of(builder), "%s", message);
    builder->error = BURSAR_E_CONFIG;
}

static struct yaml_node *node_new(struct builder *builder, enum yaml_type type)
{
    if (builder->yaml->node_count >= YAML_MAX_NODES) {
        give_up(builder, "too many values in one file");
        return NULL;
    }
    struct yaml_node *node = calloc(1, sizeof *node);
    if (!node) {
        builder->error = BURSAR_E_NOMEM;
        return NULL;
    }
    node->type = type;
    node->mark = builder->mark;
    node->weight = 1;
    node->older = builder->yaml->newest;
    builder->yaml->newest = node;
    builder->yaml->node_count++;
    return node;
}

static bool is_null_word(struct text text)
{
    return text.len == 0 || text_is(text, "~") || text_is(text, "null") || text_is(text, "Null") ||
           text_is(text, "NULL");
}

static struct yaml_node *scalar_new(struct builder *builder, struct fy_token *token)
{
    struct text text = {"", 0};
    bool is_plain = true;
    if (token) {
        text.data = fy_token_get_text(token, &text.len);
        is_plain = fy_token_scalar_style(token) == FYSS_PLAIN;
        if (!text.data)
            text = TEXT_LITERAL("");
    }
    if (text.len > 0 && memchr(text.data, 0, text.len))
        problem_add(spot_of(builder), "a NUL character cannot be part of a value");
    struct yaml_node *node = node_new(builder, YAML_SCALAR);
    if (!node)
        return NULL;
    node->is_plain = is_plain;
    if (is_plain && is_null_word(text))
        node->type = YAML_NULL;
    node->text = malloc(text.len + 1);
    if (!node->text) {
        builder->error = BURSAR_E_NOMEM;
        return NULL;
    }
    memcpy(node->text, text.data, text.len);
    node->text[text.len] = 0;
    node->text_len = text.len;
    return node;
}

static bool has_room(struct yaml_node *parent)
{
    if (parent->item_count < parent->item_cap)
        return true;
    size_t cap = parent->item_cap > 0 ? parent->item_cap * 2 : 8;
    struct yaml_node **items = reallocarray(parent->items, cap, sizeof(*items));
    if (!items)
        return false;
    parent->items = items;
    parent->item_cap = cap;
    return true;
}

static bool awaits_key(const struct yaml_node *parent)
{
    return parent->type == YAML_MAP && parent->item_count % 2 == 0;
}

static void check_key(struct builder *builder, const struct yaml_node *key)
{
    if (key->type != YAML_SCALAR && key->type != YAML_NULL)
        give_up(builder, "a key must be plain text");
    else if (key->is_plain && text_is(yaml_text(key), "<<"))
        give_up(builder, "merge keys are not supported: write the keys out");
}

/* Puts a node where the next one belongs; nodes that are closed already count with their weight. */
static void place(struct builder *builder, struct yaml_node *node)
{
    if (builder->error != 0)
        return;
    if (builder->depth == 0) {
        builder->yaml->root = node;
        return;
    }
    struct yaml_node *parent = builder->stack[builder->depth - 1];
    if (awaits_key(parent))
        check_key(builder, node);
    if (!has_room(parent)) {
        builder->error = BURSAR_E_NOMEM;
        return;
    }
    parent->items[parent->item_count++] = node;
}

static void add_anchor(struct builder *builder, struct fy_event *event, struct yaml_node *node)
{
    struct fy_token *token = fy_event_get_anchor_token(event);
    if (!token || !node)
        return;
    if (builder->anchor_count == YAML_MAX_ANCHORS) {
        give_up(builder, "too many anchors in one file");
        return;
    }
    struct text name = {NULL, 0};
    name.data = fy_token_get_text(token, &name.len);
    struct anchor anchor = {text_copy(name), node};
    if (!anchor.name) {
        builder->error = BURSAR_E_NOMEM;
        return;
    }
    builder->anchors[builder->anchor_count++] = anchor;
}

static void open_node(struct builder *builder, struct fy_event *event, enum yaml_type type)
{
    struct yaml_node *node = node_new(builder, type);
    add_anchor(builder, event, node);
    if (!node || builder->error != 0)
        return;
    if (builder->depth == YAML_MAX_DEPTH) {
        give_up(builder, "nested too deep");
        return;
    }
    place(builder, node);
    node->is_open = true;
    builder->stack[builder->depth++] = node;
}

static int by_text(const void *left, const void *right)
{
    const struct yaml_node *a = *(struct yaml_node *const *)left;
    const struct yaml_node *b = *(struct yaml_node *const *)right;
    int found = strcmp(a->text, b->text);
    if (found == 0)
        found = (a->mark.line > b->mark.line) - (a->mark.line < b->mark.line);
    return found != 0 ? found
                      : (a->mark.column > b->mark.column) - (a->mark.column < b->mark.column);
}

/* The way to what is open now: each open node was put into its parent last. */
static const struct key_path *open_path(const struct builder *builder,
                                        struct key_path paths[static YAML_MAX_DEPTH])
{
    const struct key_path *path = NULL;
    for (unsigned i = 0; i < builder->depth; i++) {
        const struct yaml_node *node = builder->stack[i];
        paths[i] = (struct key_path){path, {NULL, 0}, node->item_count - 1};
        if (node->type == YAML_MAP)
            paths[i].name = yaml_text(node->items[node->item_count - 2]);
        path = &paths[i];
    }
    return path;
}

static void report_repeated_key(const struct builder *builder, const struct yaml_node *first,
                                const struct yaml_node *again)
{
    struct key_path paths[YAML_MAX_DEPTH];
    struct key_path path = {open_path(builder, paths), yaml_text(again), 0};
    struct spot spot = {builder->problems, again->mark, &path};
    problem_add(spot, "the key stands here twice, first in line %u", first->mark.line);
}

/* Sorting keeps a map with very many keys cheap. */
static void refuse_repeated_keys(struct builder *builder, const struct yaml_node *map)
{
    size_t count = map->item_count / 2;
    if (count < 2)
        return;
    struct yaml_node **keys = calloc(count, sizeof(*keys));
    if (!keys) {
        builder->error = BURSAR_E_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++)
        keys[i] = map->items[2 * i];
    qsort(keys, count, sizeof(*keys), by_text);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i - 1]->text, keys[i]->text) == 0)
            report_repeated_key(builder, keys[i - 1], keys[i]);
    }
    free(keys);
}

/* Aliases make a graph; weight and height bound what walking it as a tree costs. */
static void close_node(struct builder *builder)
{
    assert(builder->depth > 0);
    struct yaml_node *node = builder->stack[--builder->depth];
    node->is_open = false;
    builder->mark = node->mark; /* messages name where it begins */
    for (size_t i = 0; i < node->item_count; i++) {
        const struct yaml_node *item = node->items[i];
        node->weight += item->weight;
        node->height = item->height + 1 > node->height ? item->height + 1 : node->height;
        if (node->weight > YAML_MAX_NODES) {
            give_up(builder, "aliases unfold to too many values");
            return;
        }
    }
    if (node->height > YAML_MAX_DEPTH)
        give_up(builder, "nested too deep");
    if (node->type == YAML_MAP && builder->error == 0)
        refuse_repeated_keys(builder, node);
}

static void resolve_alias(struct builder *builder, struct fy_token *token)
{
    struct text name = {NULL, 0};
    name.data = fy_token_get_text(token, &name.len);
    for (size_t i = builder->anchor_count; i > 0; i--) { /* the newest of a name counts */
        const struct anchor *anchor = &builder->anchors[i - 1];
        if (!text_is(name, anchor->name))
            continue;
        if (anchor->node->is_open)
            give_up(builder, "an alias inside what it names");
        else
            place(builder, anchor->node);
        return;
    }
    give_up(builder, "an alias without its anchor");
}

static void take_scalar(struct builder *builder, struct fy_event *event)
{
    struct yaml_node *node = scalar_new(builder, fy_event_get_token(event));
    add_anchor(builder, event, node);
    if (node)
        place(builder, node);
}

static void note_mark(struct builder *builder, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (!mark || mark->line < 0 || mark->column < 0)
        return;
    builder->mark.line = (unsigned)mark->line + 1;
    builder->mark.column = (unsigned)mark->column + 1;
}

static void take_event(struct builder *builder, struct fy_event *event)
{
    note_mark(builder, event);
    if (fy_event_get_tag_token(event))
        problem_add(spot_of(builder), "tags (!name) are not supported");
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (++builder->documents > 1)
            give_up(builder, "a second document in one file");
        break;
    case FYET_MAPPING_START: open_node(builder, event, YAML_MAP); break;
    case FYET_SEQUENCE_START: open_node(builder, event, YAML_LIST); break;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END: close_node(builder); break;
    case FYET_SCALAR: take_scalar(builder, event); break;
    case FYET_ALIAS: resolve_alias(builder, fy_event_get_token(event)); break;
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END: break;
    }
}

/* ---- parsing -------------------------------------------------------------------------------- */

/* `{key: ${env:X}}` is what people write first. */
static void report_message(struct builder *builder, const char *message)
{
    char hinted[256];
    bool is_flow = strncmp(message, "missing comma in flow", 21) == 0;
    snprintf(hinted, sizeof hinted, "%s%s", message,
             is_flow ? "; a value with { or , in it needs quotes here" : "");
    give_up(builder, hinted);
}

static void report_syntax(struct builder *builder, struct fy_diag *diag)
{
    void *at = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);
    const char *message = "not valid YAML";
    if (error) {
        if (error->line > 0 && error->column > 0) {
            builder->mark.line = (unsigned)error->line;
            builder->mark.column = (unsigned)error->column;
        }
        if (error->msg && text_is_printable(text_of(error->msg)))
            message = error->msg;
    }
    report_message(builder, message);
}

static struct fy_diag *diag_new(void)
{
    struct fy_diag_cfg config;
    fy_diag_cfg_default(&config);
    config.fp = NULL;
    config.level = FYET_ERROR;
    config.colorize = false;
    struct fy_diag *diag = fy_diag_create(&config);
    if (diag)
        fy_diag_set_collect_errors(diag, true);
    return diag;
}

static void run_parser(struct builder *builder, struct fy_parser *parser, struct fy_diag *diag)
{
    for (size_t i = 0; i < MAX_EVENTS && builder->error == 0; i++) {
        struct fy_event *event = fy_parser_parse(parser);
        if (!event) {
            if (fy_parser_get_stream_error(parser) || builder->depth > 0)
                report_syntax(builder, diag);
            return;
        }
        take_event(builder, event);
        fy_parser_event_free(parser, event);
    }
    if (builder->error == 0)
        give_up(builder, "too many values in one file");
}

static void parse(struct builder *builder, struct text text)
{
    struct fy_diag *diag = diag_new();
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_parser *parser = diag ? fy_parser_create(&config) : NULL;
    if (parser && fy_parser_set_string(parser, text.data, text.len) == 0)
        run_parser(builder, parser, diag);
    else
        builder->error = BURSAR_E_NOMEM;
    if (parser)
        fy_parser_destroy(parser);
    if (diag)
        fy_diag_destroy(diag);
}

/* libfyaml ends silently at bytes that are not UTF-8, so they are looked for first. */
static bool is_readable(struct builder *builder, struct text text)
{
    builder->mark.line = 1;
    builder->mark.column = 1;
    for (size_t i = 0; i < text.len;) {
        size_t n = text_utf8_len((struct text){text.data + i, text.len - i});
        unsigned char c = (unsigned char)text.data[i];
        if (n == 0 || c == 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t')) {
            give_up(builder, "a byte that is not UTF-8 text");
            return false;
        }
        builder->mark.column = c == '\n' ? 1 : builder->mark.column + 1;
        builder->mark.line += c == '\n';
        i += n;
    }
    builder->mark.line = builder->mark.column = 1;
    return true;
}

static void free_anchors(struct builder *builder)
{
    for (size_t i = 0; i < builder->anchor_count; i++)
        free(builder->anchors[i].name);
}

int yaml_read_text(const char *name, struct text text, struct problems *problems,
                   struct yaml **out_yaml)
{
    struct yaml *yaml = calloc(1, sizeof *yaml);
    if (!yaml)
        return BURSAR_E_NOMEM;
    struct builder builder = {.yaml = yaml, .problems = problems, .mark = {name, 0, 0}};
    if (text.len > YAML_MAX_BYTES)
        give_up(&builder, "larger than 4 MiB");
    else if (text.len > 0 && is_readable(&builder, text))
        parse(&builder, text);
    free_anchors(&builder);
    if (builder.error != 0) {
        yaml_free(yaml);
        return builder.error;
    }
    *out_yaml = yaml;
    return 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int fail(const char *path, struct problems *problems, const char *what, const char *why)
{
    problem_add((struct spot){problems, {path, 0, 0}, NULL}, "%s%s", what, why);
    return BURSAR_E_CONFIG;
}

static int check_file(int fd, const char *path, struct problems *problems)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return fail(path, problems, "cannot be read: ", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(path, problems, "is not a regular file", "");
    if (status.st_mode & S_IWOTH)
        return fail(path, problems, "everybody may write to it: chmod o-w it first", "");
    return 0;
}

static int read_all(int fd, const char *path, struct problems *problems, struct buf *content)
{
    enum { PIECE = 65536 };
    for (;;) {
        size_t room = content->max - content->len < PIECE ? content->max - content->len : PIECE;
        uint8_t *to = buf_reserve(content, room);
        if (!to)
            return BURSAR_E_NOMEM;
        ssize_t got = room > 0 ? read(fd, to, room) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(path, problems, "cannot be read: ", strerror(errno));
        if (got == 0)
            return 0;
        buf_added(content, (size_t)got);
    }
}

int yaml_read_file(const char *path, struct problems *problems, struct yaml **out_yaml)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(path, problems, "cannot be opened: ", strerror(errno));
    struct buf content = buf_make_secret(YAML_MAX_BYTES + 1);
    int error = check_file(fd, path, problems);
    if (error == 0)
        error = read_all(fd, path, problems, &content);
    close(fd);
    if (error == 0)
        error = yaml_read_text(path, buf_text(&content), problems, out_yaml);
    buf_free(&content);
    return error;
}
