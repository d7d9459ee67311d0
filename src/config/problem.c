#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROBLEMS = 1000, MAX_MESSAGE = 1024, MAX_PATH_TEXT = 512 };

struct problem {
    struct mark mark;
    size_t file_rank;
    size_t number;
    char *path; /* "" without a key */
    char *message;
};

void problems_free(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->items[i].path);
        free(problems->items[i].message);
    }
    free(problems->items);
    free(problems->files);
    *problems = (struct problems){0};
}

/* What came from a file must not steer a terminal. */
static void append_key(struct buf *buf, struct text key)
{
    if (text_is_printable(key))
        buf_append_text(buf, key);
    else
        buf_append_json(buf, key);
}

static void append_path(struct buf *buf, const struct key_path *path)
{
    if (!path)
        return;
    append_path(buf, path->parent);
    if (!path->name.data) {
        buf_printf(buf, "[%zu]", path->index);
        return;
    }
    if (buf->len > 0)
        buf_append_byte(buf, '.');
    append_key(buf, path->name);
}

static char *path_text(const struct key_path *path)
{
    struct buf buf = buf_make(MAX_PATH_TEXT);
    append_path(&buf, path);
    if (buf_error(&buf) == 0)
        return buf_take_string(&buf);
    buf_free(&buf);
    return strdup("(a long key)");
}

static size_t rank_of_file(const struct problems *problems, const char *file)
{
    size_t rank = 0;
    while (rank < problems->file_count && strcmp(problems->files[rank], file) != 0)
        rank++;
    return rank;
}

void problems_begin_file(struct problems *problems, const char *file)
{
    if (rank_of_file(problems, file) < problems->file_count)
        return;
    const char **files =
        reallocarray(problems->files, problems->file_count + 1, sizeof(*problems->files));
    if (!files) {
        problems->is_out_of_memory = true;
        return;
    }
    files[problems->file_count++] = file;
    problems->files = files;
}

static bool has_room(struct problems *problems)
{
    if (problems->count < problems->cap)
        return true;
    size_t cap = problems->cap > 0 ? problems->cap * 2 : 16;
    struct problem *items = reallocarray(problems->items, cap, sizeof *items);
    if (!items)
        return false;
    problems->items = items;
    problems->cap = cap;
    return true;
}

void problem_add(struct spot spot, const char *format, ...)
{
    struct problems *problems = spot.problems;
    if (problems->count >= MAX_PROBLEMS)
        return;
    char message[MAX_MESSAGE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    problems_begin_file(problems, spot.mark.file);
    struct problem problem = {
        .mark = spot.mark,
        .file_rank = rank_of_file(problems, spot.mark.file),
        .number = problems->count,
        .path = path_text(spot.path),
        .message = strdup(message),
    };
    if (!problem.path || !problem.message || !has_room(problems)) {
        free(problem.path);
        free(problem.message);
        problems->is_out_of_memory = true;
        return;
    }
    problems->items[problems->count++] = problem;
}

void problem_add_nearest(struct spot spot, const char *message, const char *nearest)
{
    if (nearest)
        problem_add(spot, "%s (did you mean \"%s\"?)", message, nearest);
    else
        problem_add(spot, "%s", message);
}

static int order(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *left, const void *right)
{
    const struct problem *a = left;
    const struct problem *b = right;
    int found = order(a->file_rank, b->file_rank);
    if (found == 0)
        found = order(a->mark.line, b->mark.line);
    if (found == 0)
        found = order(a->mark.column, b->mark.column);
    return found != 0 ? found : order(a->number, b->number);
}

static void print_one(const struct problem *problem, struct buf *out)
{
    buf_append_string(out, problem->mark.file);
    if (problem->mark.line > 0)
        buf_printf(out, ":%u:%u", problem->mark.line, problem->mark.column);
    if (problem->path[0])
        buf_printf(out, ": %s", problem->path);
    buf_printf(out, ": %s\n", problem->message);
}

void problems_print(struct problems *problems, struct buf *out)
{
    if (problems->count > 0)
        qsort(problems->items, problems->count, sizeof *problems->items, by_place);
    for (size_t i = 0; i < problems->count; i++)
        print_one(&problems->items[i], out);
}
