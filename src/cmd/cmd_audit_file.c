/* `bursar audit verify FILE…`: exported rows are what was written, each file goes on where the one before
 * it ended, and the row that was noted is among them. */
#include "cmd/cmd_audit.h"

#include <stdio.h>
#include <string.h>

#include "cmd/cmd_lines.h"
#include "wire/json.h"
#include "wire/tree.h"

enum { TOLD_MAX = 20 };

struct check {
    struct audit_walk walk;
    struct cmd_audit_mark mark;
    bool has_begun, is_marked;
    uint64_t first_seq;
    size_t problems;
    struct buf body;
    struct tree *tree;
};

static void tell(struct check *check, const char *file, uint64_t seq, const char *text)
{
    if (check->problems++ < TOLD_MAX) {
        fprintf(stderr, "%s: ", file);
        cmd_audit_problem(seq, text);
    }
}

static void take_after(struct check *check, const char *file, const struct node *after)
{
    uint8_t link[CHAIN_LINK_LEN];
    uint64_t seq = node_uint(node_get(after, "seq"));
    if (!audit_unhex(node_text(node_get(after, "hash")), link)) {
        tell(check, file, seq, "no hash of the row before");
        return;
    }
    if (check->has_begun && (seq != check->walk.seq || memcmp(link, check->walk.link, sizeof link)))
        tell(check, file, seq, "does not go on where the file before it ended");
    if (!check->has_begun)
        check->first_seq = seq + 1;
    audit_walk_from(&check->walk, seq, link);
    check->has_begun = true;
}

static void take_row(struct check *check, const char *file, const struct audit_row *row,
                     const uint8_t link[static CHAIN_LINK_LEN])
{
    if (!check->has_begun) {
        tell(check, file, row->seq, "no line says behind which row the file begins");
        check->has_begun = true;
        check->first_seq = row->seq;
        audit_walk_from(&check->walk, row->seq, link);
    }
    enum audit_problem problem = audit_walk_row(&check->walk, row, link);
    if (problem != AUDIT_SOUND)
        tell(check, file, row->seq, audit_problem_text(problem));
    if (row->seq != check->mark.seq)
        return;
    check->is_marked = true;
    if (memcmp(link, check->mark.link, CHAIN_LINK_LEN) != 0)
        tell(check, file, row->seq, audit_problem_text(AUDIT_OTHER_HEAD));
}

static void take_line(struct check *check, const char *file, size_t number, struct text line)
{
    struct buf error = buf_make(512);
    struct audit_row row;
    uint8_t link[CHAIN_LINK_LEN];
    char place[64];
    snprintf(place, sizeof place, "line %zu is no row of an audit log", number);
    buf_clear(&check->body);
    bool is_read = json_to_pack(line, &check->body, &error) == 0 &&
                   tree_fill(check->tree, buf_text(&check->body)) == 0;
    const struct node *after = is_read ? node_get(tree_root(check->tree), CMD_AUDIT_AFTER) : NULL;
    if (after)
        take_after(check, file, after);
    else if (is_read && audit_read(tree_root(check->tree), &row, link))
        take_row(check, file, &row, link);
    else
        tell(check, file, check->walk.seq + 1, place);
    buf_free(&error);
}

static bool take_file(struct check *check, const char *file)
{
    struct cmd_lines lines;
    struct text line;
    enum cmd_line_end end;
    if (!cmd_lines_open(&lines, file))
        return false;
    while ((end = cmd_lines_next(&lines, &line)) == CMD_LINE_GIVEN || end == CMD_LINE_TOO_LONG) {
        if (end == CMD_LINE_GIVEN)
            take_line(check, file, lines.number, line);
        else
            tell(check, file, check->walk.seq + 1, "a line is longer than any row");
    }
    cmd_lines_close(&lines);
    return end != CMD_LINE_FAILED;
}

static void print(const struct cmd_args *args, const struct check *check)
{
    char hex[AUDIT_HEX_SIZE];
    audit_hex(check->walk.link, hex);
    const unsigned long long rows = check->walk.rows, seq = check->walk.seq;
    if (args->is_json)
        printf("{\"rows\":%llu,\"problem_count\":%zu,\"head\":{\"seq\":%llu,\"hash\":\"%s\"}}\n",
               rows, check->problems, seq, hex);
    else if (check->problems == 0)
        printf("%llu rows, %llu to %llu, are as they were written\nhead %llu:%s\n", rows,
               (unsigned long long)check->first_seq, seq, seq, hex);
    else
        printf("%llu rows, %zu problems\n", rows, check->problems);
}

int cmd_audit_verify_files(const struct cmd_args *args)
{
    struct check check = {.body = buf_make(CMD_LINE_MAX), .tree = tree_new()};
    bool is_read = check.tree != NULL;
    if (!cmd_audit_mark(args, &check.mark)) {
        tree_free(check.tree);
        return CMD_USAGE;
    }
    for (size_t i = 1; i < args->word_count && is_read; i++)
        is_read = take_file(&check, args->words[i]);
    if (is_read && check.mark.seq > 0 && !check.is_marked)
        tell(&check, args->words[args->word_count - 1], check.mark.seq, "is not in the files");
    if (is_read)
        print(args, &check);
    int status = is_read && check.problems == 0 ? CMD_DONE : CMD_REFUSED;
    audit_walk_free(&check.walk);
    buf_free(&check.body);
    tree_free(check.tree);
    return status;
}
