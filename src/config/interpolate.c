#include "config/interpolate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

enum { MAX_NAME = 128, MAX_FILE_PATH = 4096 };

static const char default_secrets_dir[] = "/etc/bursar/secrets";

/* ---- vars ----------------------------------------------------------------------------------- */

void interpolate_vars_free(struct interpolate_vars *vars)
{
    for (size_t i = 0; i < vars->count; i++) {
        free(vars->items[i].name);
        secret_free(&vars->items[i].value);
    }
    free(vars->items);
    *vars = (struct interpolate_vars){0};
}

static struct interpolate_var *find_var(const struct interpolate_vars *vars, struct text name)
{
    for (size_t i = 0; vars && i < vars->count; i++) {
        if (text_is(name, vars->items[i].name))
            return &vars->items[i];
    }
    return NULL;
}

static struct interpolate_var *add_var(struct interpolate_vars *vars, struct text name)
{
    if (vars->count == vars->cap) {
        size_t cap = vars->cap > 0 ? vars->cap * 2 : 8;
        struct interpolate_var *items = reallocarray(vars->items, cap, sizeof *items);
        if (!items)
            return NULL;
        vars->items = items;
        vars->cap = cap;
    }
    struct interpolate_var var = {text_copy(name), {NULL, 0}};
    if (!var.name)
        return NULL;
    vars->items[vars->count] = var;
    return &vars->items[vars->count++];
}

int interpolate_vars_set(struct interpolate_vars *vars, struct text name, struct text value)
{
    struct secret copy;
    int error = secret_copy(value, &copy);
    if (error != 0)
        return error;
    struct interpolate_var *var = find_var(vars, name);
    if (!var)
        var = add_var(vars, name);
    if (!var) {
        secret_free(&copy);
        return BURSAR_E_NOMEM;
    }
    secret_free(&var->value);
    var->value = copy;
    return 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* 0, or an errno; EFBIG where it does not fit. On failure out has what it had. */
static int append_open_file(int fd, struct buf *out)
{
    size_t before = out->len;
    for (;;) {
        size_t room = out->max - out->len;
        uint8_t *to = buf_reserve(out, room > 4096 ? 4096 : room);
        if (!to)
            return ENOMEM;
        char extra;
        ssize_t got = room > 0 ? read(fd, to, room > 4096 ? 4096 : room) : read(fd, &extra, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return 0;
        if (got < 0 || room == 0) {
            int error = got < 0 ? errno : EFBIG;
            secret_wipe(&extra, 1);
            out->len = before;
            return error;
        }
        buf_added(out, (size_t)got);
    }
}

static void drop_line_break(struct buf *out, size_t start)
{
    if (out->len > start && out->data[out->len - 1] == '\n')
        out->len--;
    if (out->len > start && out->data[out->len - 1] == '\r')
        out->len--;
}

static int append_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno;
    struct stat status;
    int error = fstat(fd, &status) != 0 ? errno : 0;
    if (error == 0 && !S_ISREG(status.st_mode))
        error = EINVAL;
    size_t start = out->len;
    if (error == 0)
        error = append_open_file(fd, out);
    if (error == 0)
        drop_line_break(out, start);
    close(fd);
    return error;
}

static const char *reason_of(int error)
{
    return error == EINVAL ? "not a regular file" : strerror(error);
}

/* ---- the sources ---------------------------------------------------------------------------- */

struct expansion {
    const struct interpolate_vars *vars;
    struct spot spot;
    struct buf *out;
};

bool interpolate_is_name(struct text name)
{
    if (name.len == 0 || name.len > MAX_NAME || name.data[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* 0 (found), ENOENT (look elsewhere) or another errno. */
static int from_directory(const char *directory, const char *name, struct buf *out)
{
    char path[MAX_FILE_PATH];
    struct buf text = buf_make(sizeof path - 1);
    if (!directory || directory[0] == 0)
        return ENOENT;
    buf_printf(&text, "%s/%s", directory, name);
    int error = buf_error(&text) == 0 ? append_file((const char *)text.data, out) : ENAMETOOLONG;
    buf_free(&text);
    return error == ENOTDIR ? ENOENT : error;
}

static bool from_variable(const char *prefix, const char *name, struct buf *out)
{
    char variable[MAX_NAME + 16];
    struct buf text = buf_make(sizeof variable - 1);
    buf_printf(&text, "%s%s", prefix, name);
    const char *value = buf_error(&text) == 0 ? getenv((const char *)text.data) : NULL;
    buf_free(&text);
    if (!value)
        return false;
    buf_append_string(out, value);
    return true;
}

static bool expand_secret(const struct expansion *expansion, const char *name)
{
    const char *secrets_dir = getenv("BURSAR_SECRETS_DIR");
    if (!secrets_dir || secrets_dir[0] == 0)
        secrets_dir = default_secrets_dir;
    int error = from_directory(getenv("CREDENTIALS_DIRECTORY"), name, expansion->out);
    if (error == ENOENT)
        error = from_directory(secrets_dir, name, expansion->out);
    if (error == 0 || (error == ENOENT && from_variable("BURSAR_SECRET_", name, expansion->out)))
        return true;
    if (error != ENOENT)
        problem_add(expansion->spot, "the secret \"%s\" cannot be read: %s", name,
                    reason_of(error));
    else
        problem_add(
            expansion->spot,
            "no secret \"%s\": not in $CREDENTIALS_DIRECTORY, not in %s, and BURSAR_SECRET_%s "
            "is not set",
            name, secrets_dir, name);
    return false;
}

static bool expand_env(const struct expansion *expansion, const char *name)
{
    if (from_variable("", name, expansion->out))
        return true;
    problem_add(expansion->spot, "the environment variable \"%s\" is not set", name);
    return false;
}

static bool expand_file(const struct expansion *expansion, const char *path)
{
    if (path[0] != '/') {
        problem_add(expansion->spot, "${file:…} needs an absolute path");
        return false;
    }
    int error = append_file(path, expansion->out);
    if (error != 0)
        problem_add(expansion->spot, "the file \"%s\" cannot be read: %s", path, reason_of(error));
    return error == 0;
}

static bool report_no_var(const struct expansion *expansion, const char *name)
{
    const char *names[64];
    size_t count = expansion->vars->count < 64 ? expansion->vars->count : 64;
    for (size_t i = 0; i < count; i++)
        names[i] = expansion->vars->items[i].name;
    char message[MAX_NAME + 64];
    struct buf text = buf_make(sizeof message - 1);
    buf_printf(&text, "`vars` has no \"%s\"", name);
    problem_add_nearest(expansion->spot, (const char *)buf_text(&text).data,
                        text_nearest(text_of(name), names, count));
    buf_free(&text);
    return false;
}

static bool expand_var(const struct expansion *expansion, const char *name)
{
    if (!expansion->vars) {
        problem_add(expansion->spot, "a value of `vars` cannot use ${vars.…}");
        return false;
    }
    const struct interpolate_var *var = find_var(expansion->vars, text_of(name));
    if (!var)
        return report_no_var(expansion, name);
    buf_append_text(expansion->out, secret_text(&var->value));
    return true;
}

struct source {
    struct text prefix;
    bool takes_path;
    bool (*expand)(const struct expansion *expansion, const char *name);
};

static const struct source sources[] = {
    {{"secret:", 7}, false, expand_secret},
    {{"env:", 4}, false, expand_env},
    {{"file:", 5}, true, expand_file},
    {{"vars.", 5}, false, expand_var},
};

static bool begins_with(struct text text, struct text prefix)
{
    return text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0;
}

static struct text after(struct text text, size_t len)
{
    return (struct text){text.data + len, text.len - len};
}

static bool expand_from(const struct expansion *expansion, const struct source *source,
                        struct text name)
{
    if (source->takes_path ? name.len == 0 || name.len >= MAX_FILE_PATH || !text_is_printable(name)
                           : !interpolate_is_name(name)) {
        problem_add(expansion->spot, "${%.*s…} is not followed by a name that can exist",
                    (int)source->prefix.len, source->prefix.data);
        return false;
    }
    char *copy = text_copy(name);
    if (!copy) {
        expansion->spot.problems->is_out_of_memory = true;
        return false;
    }
    bool is_ok = source->expand(expansion, copy);
    free(copy);
    return is_ok;
}

/* What stands between `${` and `}`. */
static bool expand(const struct expansion *expansion, struct text reference)
{
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (begins_with(reference, sources[i].prefix))
            return expand_from(expansion, &sources[i], after(reference, sources[i].prefix.len));
    }
    problem_add(expansion->spot,
                "${…} is none of ${secret:NAME}, ${env:NAME}, ${file:PATH}, ${vars.NAME}; "
                "write $${ for the characters themselves");
    return false;
}

bool interpolate_is_needed(struct text raw)
{
    return raw.len >= 2 && memmem(raw.data, raw.len, "${", 2) != NULL;
}

bool interpolate(struct text raw, const struct interpolate_vars *vars, struct spot spot,
                 struct buf *out)
{
    struct expansion expansion = {vars, spot, out};
    bool is_ok = true;
    for (struct text rest = raw; rest.len > 0;) {
        if (begins_with(rest, TEXT_LITERAL("$${"))) {
            buf_append_string(out, "${");
            rest = after(rest, 3);
        } else if (begins_with(rest, TEXT_LITERAL("${"))) {
            const char *end = memchr(rest.data, '}', rest.len);
            if (!end) {
                problem_add(spot, "${ without its }; write $${ for the characters themselves");
                return false;
            }
            size_t len = (size_t)(end - rest.data);
            is_ok &= expand(&expansion, (struct text){rest.data + 2, len - 2});
            rest = after(rest, len + 1);
        } else {
            buf_append_byte(out, (uint8_t)rest.data[0]);
            rest = after(rest, 1);
        }
    }
    if (buf_error(out) == BURSAR_E_TOO_BIG)
        problem_add(spot, "longer than 64 KiB");
    else if (buf_error(out) != 0)
        spot.problems->is_out_of_memory = true;
    return is_ok && buf_error(out) == 0;
}
