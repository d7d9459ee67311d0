#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

/* A line is one write of at most PIPE_BUF, so that lines of several threads do not mix. */
enum { LINE_MAX_BYTES = 4096, END_BYTES = 2, FIELD_BYTES = 48, BEHIND_MAX = 3072 };

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

static atomic_int set_level = LOG_INFO;
static atomic_int set_format = LOG_TEXT;

void log_set(enum log_level level, enum log_format format)
{
    atomic_store(&set_level, (int)level);
    atomic_store(&set_format, (int)format);
}

bool log_level_of(const char *word, enum log_level *out_level)
{
    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        if (strcmp(level_names[i], word) == 0) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void append_time(struct buf *line)
{
    int64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(line, "%s.%03dZ", text, (int)(now_ms % 1000));
}

static bool is_plain(struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"\\=", c))
            return false;
    }
    return text.len > 0;
}

static void append_text_field(struct buf *line, const struct log_field *field)
{
    buf_printf(line, " %s=", field->name);
    if (!field->text.data)
        buf_printf(line, "%lld", (long long)field->number);
    else if (is_plain(field->text))
        buf_append_text(line, field->text);
    else
        buf_append_json(line, field->text);
}

static void append_json_field(struct buf *line, const struct log_field *field)
{
    buf_printf(line, ",\"%s\":", field->name);
    if (field->text.data)
        buf_append_json(line, field->text);
    else
        buf_printf(line, "%lld", (long long)field->number);
}

typedef void append_field_fn(struct buf *line, const struct log_field *field);

/* Fields one after the other, each with room left for those behind it: a value that is too long is
 * halved until it fits, so that no value can take the end of the line or another field away. */
static void append_fields(struct buf *line, const struct log_field *field, append_field_fn *append)
{
    size_t count = 0;
    while (field[count].name)
        count++;
    for (; field->name; field++) {
        size_t behind = --count * FIELD_BYTES;
        size_t room = LINE_MAX_BYTES - END_BYTES - (behind < BEHIND_MAX ? behind : BEHIND_MAX);
        size_t at = line->len;
        struct log_field cut = *field;
        append(line, &cut);
        while (buf_error(line) != 0 || line->len > room) {
            buf_truncate(line, at);
            if (cut.text.len == 0)
                break;
            cut.text.len /= 2;
            append(line, &cut);
        }
    }
}

static void append_text_line(struct buf *line, enum log_level level, const char *message,
                             const struct log_field *fields)
{
    append_time(line);
    buf_printf(line, " %s %s", level_names[level], message);
    append_fields(line, fields, append_text_field);
}

static void append_json_line(struct buf *line, enum log_level level, const char *message,
                             const struct log_field *fields)
{
    buf_append_string(line, "{\"time\":\"");
    append_time(line);
    buf_printf(line, "\",\"level\":\"%s\",\"message\":", level_names[level]);
    buf_append_json(line, text_of(message));
    append_fields(line, fields, append_json_field);
    buf_append_byte(line, '}');
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if ((int)level > atomic_load_explicit(&set_level, memory_order_relaxed))
        return;
    struct buf line = buf_make(LINE_MAX_BYTES);
    if (atomic_load_explicit(&set_format, memory_order_relaxed) == LOG_JSON)
        append_json_line(&line, level, message, fields);
    else
        append_text_line(&line, level, message, fields);
    buf_append_byte(&line, '\n');
    if (line.len > 0) {
        ssize_t written = write(STDERR_FILENO, line.data, line.len);
        (void)written; /* where the log cannot be written there is nobody to tell */
    }
    buf_free(&line);
}
