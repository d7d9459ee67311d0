#include "cmd/cmd_import.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "cmd/cmd_import_read.h"
#include "cmd/cmd_input.h"
#include "cmd/cmd_key.h"
#include "cmd/cmd_lines.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"
#include "vault/letter.h"

enum { WORDS_SIZE = 1024, KEY_MAX = 64, SHOWN_EVERY = 50 };

static const struct cmd_option options[] = {
    {"existing", "RULE", "of what is there already: skip (else), replace or refuse"},
    {"hand-over", NULL, "hold all, then refresh each once and let it go"},
    {"open-with", "FILE", "the secret key that sealed lines are opened with, such as curve.key"},
    {"yes", NULL, "do not ask whether the old system has stopped"},
    {NULL, NULL, NULL},
};

static const char *const result_names[IMPORT_RESULT_COUNT] = {
    [IMPORT_MADE] = "imported", [IMPORT_THERE] = "left as it is", [IMPORT_HELD] = "held",
    [IMPORT_TAKEN] = "ok",      [IMPORT_SPENT] = "refused",       [IMPORT_IN_DOUBT] = "in doubt",
    [IMPORT_LATER] = "later",   [IMPORT_FAILED] = "failed"};

static bool is_bad(enum import_result result)
{
    return result == IMPORT_SPENT || result == IMPORT_IN_DOUBT || result == IMPORT_LATER ||
           result == IMPORT_FAILED;
}

/* ---- asking --------------------------------------------------------------------------------------- */

int import_ask(struct import *import, const char *op, json_t *request, json_t **out_root,
               struct bursar_failure *out_failure)
{
    *out_root = NULL;
    int error = cmd_call(import->client, op, request, out_root, out_failure);
    json_decref(request);
    import->is_ended = import->is_ended || error == BURSAR_E_NO_DAEMON;
    return error;
}

json_t *import_named(const json_t *put)
{
    static const char *const names[] = {"owner", "provider", "account"};
    json_t *request = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *value = json_object_get(put, names[i]);
        if (value)
            json_object_set(request, names[i], value);
    }
    return request;
}

json_t *import_record(struct import *import, const json_t *put, struct bursar_failure *out_failure)
{
    json_t *root = NULL;
    if (import_ask(import, "connection.get", import_named(put), &root, out_failure) < 0)
        return NULL;
    json_t *record = json_incref(json_object_get(root, "record"));
    json_decref(root);
    return record;
}

bool import_is(const json_t *record, const char *state, const char *reason)
{
    const char *its_state = json_string_value(json_object_get(record, "state"));
    const char *its_reason = json_string_value(json_object_get(record, "reason"));
    return its_state && strcmp(its_state, state) == 0 &&
           (!reason || (its_reason && strcmp(its_reason, reason) == 0));
}

/* ---- telling --------------------------------------------------------------------------------------- */

static void tell_json(size_t line, const json_t *put, enum import_result result, const char *words)
{
    json_t *told = put ? import_named(put) : json_object();
    json_object_set_new(told, "line", json_integer((json_int_t)line));
    json_object_set_new(told, "result", json_string(result_names[result]));
    if (words[0])
        json_object_set_new(told, "message", json_string(words));
    json_dumpf(told, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(told);
}

static void tell(struct import *import, size_t line, const json_t *put, enum import_result result,
                 const char *words)
{
    import->counts[result]++;
    if (import->args->is_json) {
        tell_json(line, put, result, words);
        return;
    }
    if (import->is_shown && line % SHOWN_EVERY == 0) {
        fprintf(stderr, "\r%zu lines\033[K\r", line);
        fflush(stderr);
    }
    if (!import->tells && !is_bad(result))
        return;
    FILE *to = is_bad(result) && !import->tells ? stderr : stdout;
    fprintf(to, "line %zu", line);
    if (put)
        fprintf(to, ": %s %s/%s", cmd_text_of(put, "owner"), cmd_text_of(put, "provider"),
                json_object_get(put, "account") ? cmd_text_of(put, "account") : "default");
    fprintf(to, ": %s%s%s\n", result_names[result], words[0] ? ": " : "", words);
}

static int sum_up(const struct import *import)
{
    const char *before = "";
    bool is_right = true;
    for (int i = 0; i < IMPORT_RESULT_COUNT; i++) {
        if (import->counts[i] == 0)
            continue;
        fprintf(stderr, "%s%zu %s", before, import->counts[i], result_names[i]);
        before = ", ";
        is_right = is_right && !is_bad((enum import_result)i);
    }
    fprintf(stderr, "%s\n", before[0] ? "" : "there is no line");
    if (import->is_ended)
        fprintf(stderr, "bursar: the daemon is gone: the same again goes on\n");
    return import->is_ended ? CMD_NO_DAEMON : is_right ? CMD_DONE : CMD_REFUSED;
}

/* ---- a line --------------------------------------------------------------------------------------- */

/* What is there is replaced where the line says which generation that is, or where it was never refreshed
 * here: an old file must not take the place of a newer secret. */
static bool may_replace(const struct import *import, const json_t *put, const json_t *record,
                        char *words)
{
    if (import->replaces && json_object_get(put, "expect_generation"))
        return true;
    if (import->replaces && !json_object_get(record, "last_refresh"))
        return true;
    if (import->replaces)
        snprintf(words, WORDS_SIZE,
                 "it was refreshed here since: expect_generation is to say what is replaced");
    else
        snprintf(words, WORDS_SIZE, "it is here already");
    return false;
}

static enum import_result put_line(struct import *import, json_t *put, char *words)
{
    json_t *root = NULL;
    struct bursar_failure failure;
    int error = import_ask(import, "credential.put", json_incref(put), &root, &failure);
    json_decref(root);
    if (error == 0)
        return import->holds ? IMPORT_HELD : IMPORT_MADE;
    snprintf(words, WORDS_SIZE, "%s: %s", bursar_error_code(error), failure.message);
    return IMPORT_FAILED;
}

static enum import_result import_line(struct import *import, json_t *put, char *words)
{
    struct bursar_failure failure;
    json_t *record = import_record(import, put, &failure);
    if (!record && failure.error != BURSAR_E_NOT_CONNECTED) {
        snprintf(words, WORDS_SIZE, "%s: %s", bursar_error_code(failure.error), failure.message);
        return IMPORT_FAILED;
    }
    json_int_t generation = json_integer_value(json_object_get(record, "generation"));
    enum import_result result;
    if (generation == 0) {
        json_object_set_new(put, "expect_generation", json_integer(0));
        if (import->holds)
            json_object_set_new(put, "hold", json_true());
        result = put_line(import, put, words);
    } else if (import->holds && import_is(record, "FROZEN", "hand_over")) {
        result = IMPORT_HELD;
    } else if (!import->holds && may_replace(import, put, record, words)) {
        if (!json_object_get(put, "expect_generation"))
            json_object_set_new(put, "expect_generation", json_integer(generation));
        result = put_line(import, put, words);
    } else {
        result = import->refuses || import->replaces ? IMPORT_FAILED : IMPORT_THERE;
    }
    json_decref(record);
    return result;
}

typedef enum import_result line_fn(struct import *import, json_t *put, char *words);

static enum import_result take_line(struct import *import, json_t *put, char *words)
{
    return import_take(import, put, words, WORDS_SIZE);
}

/* A line that is sealed is opened first. */
static json_t *read_line(const struct import *import, struct text line, char *words)
{
    static const char begin[] = "{\"sealed\":\"", end[] = "\"}";
    const size_t begin_len = sizeof begin - 1, end_len = sizeof end - 1;
    if (line.len < begin_len + end_len || memcmp(line.data, begin, begin_len) != 0 ||
        memcmp(line.data + line.len - end_len, end, end_len) != 0)
        return cmd_import_read(line, clock_wall_s(), words, WORDS_SIZE);
    if (import->key.len == 0) {
        snprintf(words, WORDS_SIZE, "it is sealed: --open-with is to name the secret key");
        return NULL;
    }
    struct text letter = {line.data + begin_len, line.len - begin_len - end_len};
    struct buf plain = buf_make_secret(CMD_LINE_MAX);
    json_t *put = NULL;
    if (letter_open(buf_text(&import->key), letter, &plain) == 0)
        put = cmd_import_read(buf_text(&plain), clock_wall_s(), words, WORDS_SIZE);
    else
        snprintf(words, WORDS_SIZE, "it is sealed, and not to this key");
    buf_free(&plain);
    return put;
}

/* Each line through the function; false where the file cannot be read to its end. */
static bool each_line(struct import *import, const char *path, line_fn *function)
{
    struct cmd_lines lines;
    struct text line = {NULL, 0};
    enum cmd_line_end end = CMD_LINE_GIVEN;
    bool is_open = cmd_lines_open(&lines, path);
    while (is_open && !import->is_ended &&
           ((end = cmd_lines_next(&lines, &line)) == CMD_LINE_GIVEN || end == CMD_LINE_TOO_LONG)) {
        char words[WORDS_SIZE] = "";
        json_t *put = NULL;
        if (end == CMD_LINE_TOO_LONG)
            snprintf(words, sizeof words, "it has more than %u bytes", CMD_LINE_MAX);
        else if (line.len == 0)
            continue;
        else
            put = read_line(import, line, words);
        enum import_result result = put ? function(import, put, words) : IMPORT_FAILED;
        tell(import, lines.number, put, result, words);
        json_decref(put);
    }
    if (is_open)
        cmd_lines_close(&lines);
    return is_open && end != CMD_LINE_FAILED;
}

/* ---- the command ----------------------------------------------------------------------------------- */

static bool has_stopped(const struct cmd_args *args)
{
    struct buf answer = buf_make(64);
    bool is_yes = cmd_option(args, "yes") != NULL;
    if (!is_yes && cmd_input_is_terminal() &&
        cmd_input_line("All is held here. Has the old system stopped refreshing? [y/N]", false,
                       &answer))
        is_yes = text_is(buf_text(&answer), "y") || text_is(buf_text(&answer), "yes");
    buf_free(&answer);
    return is_yes;
}

/* Held first, all of them; only when the other side has stopped each is taken over. */
static int hand_over(struct import *import, const char *path)
{
    import->holds = true;
    if (!each_line(import, path, import_line))
        return CMD_REFUSED;
    int status = sum_up(import);
    if (import->is_ended)
        return status;
    if (!has_stopped(import->args)) {
        fprintf(stderr, "bursar: nothing is taken over: the same again goes on, with --yes once the"
                        " old system has stopped\n");
        return CMD_REFUSED;
    }
    memset(import->counts, 0, sizeof import->counts);
    import->tells = true;
    bool is_read = each_line(import, path, take_line);
    status = sum_up(import);
    return is_read ? status : CMD_REFUSED;
}

static int run(const struct cmd_args *args)
{
    const char *rule = cmd_option(args, "existing");
    struct bursar_client_options client_options = cmd_client_options(args);
    struct import import = {.args = args,
                            .replaces = rule && strcmp(rule, "replace") == 0,
                            .refuses = rule && strcmp(rule, "refuse") == 0,
                            .is_shown = isatty(STDERR_FILENO) && !args->is_json};
    const char *key = cmd_option(args, "open-with");
    bool hands_over = cmd_option(args, "hand-over") != NULL;
    if (rule && !import.replaces && !import.refuses && strcmp(rule, "skip") != 0)
        return cmd_usage(args->cmd, "--existing must be skip, replace or refuse");
    if (hands_over && rule)
        return cmd_usage(args->cmd, "--hand-over leaves what is there as it is: no --existing");
    if (hands_over && strcmp(args->words[0], "-") == 0)
        return cmd_usage(args->cmd, "--hand-over reads the file twice: it must be one");
    import.key = buf_make_secret(KEY_MAX);
    if (key && !cmd_key_read(key, &import.key))
        return CMD_USAGE;
    if (bursar_client_open(&client_options, &import.client) < 0) {
        buf_free(&import.key);
        return CMD_REFUSED;
    }
    int status;
    if (hands_over) {
        status = hand_over(&import, args->words[0]);
    } else {
        bool is_read = each_line(&import, args->words[0], import_line);
        status = sum_up(&import);
        if (!is_read)
            status = CMD_REFUSED;
    }
    bursar_client_close(import.client);
    buf_free(&import.key);
    return status;
}

const struct cmd cmd_import = {
    "import",
    "FILE|- [--existing skip|replace|refuse] [--open-with FILE] [--hand-over [--yes]]",
    "put connections from a file, one a line",
    options,
    1,
    1,
    run,
};
