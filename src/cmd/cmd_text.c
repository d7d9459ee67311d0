#include "cmd/cmd_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

enum { MAX_SAFE = 1024, SAFE_SLOTS = 8, INDENT = 2, MAX_DEPTH = 16 };

/* ---- times ---------------------------------------------------------------------------------- */

void cmd_text_duration(int64_t seconds, char out[static 32])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    snprintf(out, 32, "%lld %s", (long long)(seconds / units[i].seconds), units[i].name);
}

void cmd_text_time(int64_t at, int64_t now, char out[static CMD_TEXT_TIME_SIZE])
{
    char when[64];
    char distance[32];
    struct tm local;
    time_t time = (time_t)at;
    if (at == 0 || !localtime_r(&time, &local) ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        snprintf(out, CMD_TEXT_TIME_SIZE, "-");
        return;
    }
    cmd_text_duration(at > now ? at - now : now - at, distance);
    if (at > now)
        snprintf(out, CMD_TEXT_TIME_SIZE, "%s (in %s)", when, distance);
    else
        snprintf(out, CMD_TEXT_TIME_SIZE, "%s (%s ago)", when, distance);
}

/* ---- texts ---------------------------------------------------------------------------------- */

const char *cmd_text_safe(const json_t *string)
{
    static char slots[SAFE_SLOTS][MAX_SAFE];
    static size_t next;
    char *slot = slots[next++ % SAFE_SLOTS];
    if (!json_is_string(string))
        return "-";
    struct text text = {json_string_value(string), json_string_length(string)};
    struct buf out = buf_make(MAX_SAFE - 1);
    if (text_is_printable(text))
        buf_append_text(&out, text);
    else
        buf_append_json(&out, text);
    bool is_long = buf_error(&out) != 0;
    snprintf(slot, MAX_SAFE, "%s", is_long ? "(a long text)" : (const char *)buf_text(&out).data);
    buf_free(&out);
    return slot;
}

const char *cmd_text_of(const json_t *object, const char *key)
{
    return cmd_text_safe(json_object_get(object, key));
}

static bool has_colour(void)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (!no_color || no_color[0] == 0);
}

void cmd_text_state(const char *state, int width)
{
    static const struct {
        const char *state, *colour;
    } colours[] = {{"ACTIVE", "32"},  {"NEEDS_REAUTH", "31"}, {"IN_DOUBT", "33"},
                   {"REVOKED", "35"}, {"FROZEN", "36"},       {"PENDING", "2"}};
    for (size_t i = 0; has_colour() && i < sizeof colours / sizeof colours[0]; i++) {
        if (strcasecmp(colours[i].state, state) == 0) {
            printf("\033[%sm%-*s\033[0m", colours[i].colour, width, state);
            return;
        }
    }
    printf("%-*s", width, state);
}

/* ---- fields --------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void print_number(const char *key, json_int_t number)
{
    char time[CMD_TEXT_TIME_SIZE];
    bool is_ms = ends_in(key, "_at_ms");
    if (!is_ms && !ends_in(key, "_at") && strcmp(key, "at") != 0) {
        printf("%lld", (long long)number);
        return;
    }
    cmd_text_time(is_ms ? number / 1000 : number, clock_wall_s(), time);
    printf("%s", time);
}

static void print_scalar(const char *key, const json_t *value)
{
    if (json_is_string(value) && strcmp(key, "state") == 0)
        cmd_text_state(cmd_text_safe(value), 0);
    else if (json_is_integer(value))
        print_number(key, json_integer_value(value));
    else if (json_is_real(value))
        printf("%g", json_real_value(value));
    else if (json_is_boolean(value))
        printf("%s", json_is_true(value) ? "yes" : "no");
    else
        printf("%s", cmd_text_safe(value));
}

static bool has_collections(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_is_object(json_array_get(array, i)) || json_is_array(json_array_get(array, i)))
            return true;
    }
    return false;
}

static void print_object(const json_t *object, int depth);

static void print_list(const char *key, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        printf("%s", i > 0 ? ", " : "");
        print_scalar(key, json_array_get(array, i));
    }
    printf("%s\n", json_array_size(array) == 0 ? "-" : "");
}

static void print_objects(const json_t *array, int depth)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        printf("%*s-\n", depth * INDENT, "");
        print_object(json_array_get(array, i), depth + 1);
    }
}

static bool is_nested(const json_t *value)
{
    return (json_is_array(value) && has_collections(value)) ||
           (json_is_object(value) && json_object_size(value) > 0);
}

static void print_member(const char *key, const json_t *value, int width, int depth)
{
    json_t *name = json_string(key); /* keys come from the daemon too */
    printf("%*s", depth * INDENT, "");
    if (is_nested(value))
        printf("%s\n", cmd_text_safe(name));
    else
        printf("%-*s  ", width, cmd_text_safe(name));
    json_decref(name);
    if (is_nested(value) && json_is_array(value)) {
        print_objects(value, depth + 1);
    } else if (is_nested(value)) {
        print_object(value, depth + 1);
    } else if (json_is_array(value)) {
        print_list(key, value);
    } else {
        print_scalar(key, value); /* `-` for an empty object too */
        putchar('\n');
    }
}

static void print_object(const json_t *object, int depth)
{
    const char *key;
    json_t *value;
    json_t *members = (json_t *)(uintptr_t)object; /* json_object_foreach knows no const */
    int width = 0;
    if (depth > MAX_DEPTH)
        return;
    json_object_foreach(members, key, value)
        width = (int)strlen(key) > width ? (int)strlen(key) : width;
    json_object_foreach(members, key, value)
        print_member(key, value, width, depth);
}

void cmd_text_fields(const json_t *object)
{
    print_object(object, 0);
}

void cmd_text_answer(json_t *reply)
{
    json_object_del(reply, "id");
    json_object_del(reply, "ok");
    print_object(reply, 0);
}
