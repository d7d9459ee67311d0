#include "cmd/cmd_audit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cmd/cmd_reply.h"
#include "cmd/cmd_since.h"
#include "cmd/cmd_table.h"
#include "cmd/cmd_text.h"

enum { MAX_PAGES = 100000000, LAST_ROWS = 20, LOOK_EVERY_MS = 250, PROBLEMS_SHOWN = 20 };

static const struct cmd_option options[] = {
    {"follow", NULL, "tail: wait for what comes, for ever"},
    {"since", "TIME", "what happened since then: 12h, 2026-11-22, 2026-11-22T14:30:00Z"},
    {"after", "SEQ", "export: begin behind this row"},
    {"principal", "PRINCIPAL", "tail, who: of this principal alone"},
    {"owner", "OWNER", "tail, given: of this owner alone"},
    {"head", "SEQ:HASH", "verify: this row, whose hash was noted, must be there"},
    {NULL, NULL, NULL},
};

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void set_text(json_t *request, const char *key, const char *value)
{
    if (value)
        json_object_set_new(request, key, json_string(value));
}

/* With --since where that is given; NULL where it is wrong, which was printed. */
static json_t *request_new(const struct cmd_args *args)
{
    int64_t since;
    json_t *request = json_object();
    if (!cmd_option(args, "since"))
        return request;
    if (!cmd_since(args, &since)) {
        json_decref(request);
        return NULL;
    }
    json_object_set_new(request, "since", json_integer(since));
    return request;
}

void cmd_audit_problem(uint64_t seq, const char *text)
{
    fprintf(stderr, "row %llu: %s\n", (unsigned long long)seq, text);
}

bool cmd_audit_mark(const struct cmd_args *args, struct cmd_audit_mark *out_mark)
{
    struct text head = text_of(cmd_option(args, "head"));
    const char *colon = head.data ? strchr(head.data, ':') : NULL;
    *out_mark = (struct cmd_audit_mark){0};
    if (!head.data)
        return true;
    if (colon &&
        text_to_uint((struct text){head.data, (size_t)(colon - head.data)}, INT64_MAX,
                     &out_mark->seq) &&
        out_mark->seq > 0 && audit_unhex(text_of(colon + 1), out_mark->link))
        return true;
    cmd_usage(args->cmd, "--head: SEQ:HASH, as the log, status and audit verify give it");
    return false;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static bool put_json(const json_t *value)
{
    char *json = json_dumps(value, JSON_COMPACT);
    json_free_t free_text = NULL;
    json_get_alloc_funcs(NULL, &free_text);
    bool is_put = json && puts(json) >= 0;
    free_text(json);
    return is_put;
}

static void print_given(const char *before, const json_t *object, const char *key)
{
    if (json_object_get(object, key))
        printf("%s%s", before, cmd_text_of(object, key));
}

static void print_row(const json_t *row)
{
    char when[CMD_TEXT_TIME_SIZE];
    cmd_text_time(number(row, "at_ms") / 1000, clock_wall_s(), when);
    printf("%" JSON_INTEGER_FORMAT "  %s  %s  %s  %s", number(row, "seq"), when,
           cmd_text_of(row, "principal"), cmd_text_of(row, "op"), cmd_text_of(row, "outcome"));
    if (number(row, "count") > 1)
        printf(" x%" JSON_INTEGER_FORMAT, number(row, "count"));
    print_given("  ", row, "owner");
    print_given("  ", row, "provider");
    print_given("/", row, "account");
    print_given("  ", row, "connection");
    if (number(row, "generation") > 0)
        printf("  generation %" JSON_INTEGER_FORMAT, number(row, "generation"));
    print_given("  purpose ", row, "purpose");
    print_given("  ", row, "detail");
    putchar('\n');
}

/* Everything behind request's seq, page by page; seq is that of the last row then. */
static int put_rows(const struct cmd_args *args, json_t *request, bool is_json)
{
    for (int page = 0; page < MAX_PAGES; page++) {
        size_t i;
        json_t *row;
        struct cmd_reply reply = cmd_ask_quietly(args, "audit.since", json_copy(request));
        int status = reply.status;
        json_array_foreach(json_object_get(reply.root, "rows"), i, row) {
            if (is_json && !put_json(row))
                status = CMD_REFUSED;
            else if (!is_json)
                print_row(row);
        }
        json_int_t next = number(reply.root, "next_seq"), before = number(request, "seq");
        cmd_reply_free(&reply);
        if (status != CMD_DONE || fflush(stdout) != 0)
            return status != CMD_DONE ? status : CMD_REFUSED;
        if (next <= before)
            return CMD_DONE;
        json_object_set_new(request, "seq", json_integer(next));
    }
    return CMD_DONE;
}

/* Fills the ends of the log; CMD_DONE or what was printed. */
static int find_ends(const struct cmd_args *args, json_t **out_ends)
{
    struct cmd_reply reply = cmd_ask_quietly(args, "audit.head", json_object());
    int status = reply.status;
    *out_ends = status == CMD_DONE ? json_incref(json_object_get(reply.root, "audit")) : NULL;
    cmd_reply_free(&reply);
    return status;
}

static void wait_a_little(void)
{
    const struct timespec wait = {LOOK_EVERY_MS / 1000, LOOK_EVERY_MS % 1000 * 1000000L};
    nanosleep(&wait, NULL);
}

static int tail(const struct cmd_args *args)
{
    json_t *ends, *request = request_new(args);
    int status = request ? find_ends(args, &ends) : CMD_USAGE;
    if (status != CMD_DONE) {
        json_decref(request);
        return status;
    }
    json_int_t head = number(json_object_get(ends, "head"), "seq");
    json_int_t begin = number(json_object_get(ends, "anchor"), "seq");
    bool is_all = json_object_get(request, "since") != NULL;
    if (!is_all && head - LAST_ROWS > begin)
        begin = head - LAST_ROWS;
    json_object_set_new(request, "seq", json_integer(begin));
    set_text(request, "principal", cmd_option(args, "principal"));
    set_text(request, "owner", cmd_option(args, "owner"));
    do {
        status = put_rows(args, request, args->is_json);
        if (cmd_option(args, "follow"))
            wait_a_little(); /* the daemon tells nobody of it */
    } while (status == CMD_DONE && cmd_option(args, "follow"));
    json_decref(request);
    json_decref(ends);
    return status;
}

/* ---- export -------------------------------------------------------------------------------------- */

/* The row behind which the export begins, with its hash: the first one that is exported is linked to it.
 * NULL where that was printed. */
static json_t *find_after(const struct cmd_args *args, json_int_t seq, int *out_status)
{
    json_t *ends, *after = NULL;
    *out_status = find_ends(args, &ends);
    const json_t *anchor = json_object_get(ends, "anchor");
    json_int_t anchor_seq = number(anchor, "seq");
    if (*out_status == CMD_DONE && seq <= anchor_seq && cmd_option(args, "after") &&
        seq < anchor_seq) {
        fprintf(stderr, "bursar: rows to %" JSON_INTEGER_FORMAT " are not kept any more\n",
                anchor_seq);
        *out_status = CMD_REFUSED;
    } else if (*out_status == CMD_DONE && seq <= anchor_seq) {
        after = json_deep_copy(anchor);
    } else if (*out_status == CMD_DONE) {
        struct cmd_reply reply = cmd_ask_quietly(
            args, "audit.since", json_pack("{s:I,s:i}", "seq", seq - 1, "limit", 1));
        const json_t *row = json_array_get(json_object_get(reply.root, "rows"), 0);
        *out_status = reply.status;
        if (reply.status == CMD_DONE && number(row, "seq") == seq)
            after = json_pack("{s:I,s:O}", "seq", seq, "hash", json_object_get(row, "hash"));
        else if (reply.status == CMD_DONE)
            *out_status = cmd_usage(args->cmd, "--after: there is no such row");
        cmd_reply_free(&reply);
    }
    json_decref(ends);
    return after;
}

static int export_rows(const struct cmd_args *args)
{
    json_int_t seq = 0;
    int status;
    if (cmd_option(args, "after") && !cmd_number(args, "after", INT64_MAX, &seq))
        return CMD_USAGE;
    json_t *after = find_after(args, seq, &status);
    if (!after)
        return status;
    json_t *request = json_pack("{s:O}", "seq", json_object_get(after, "seq"));
    json_t *head = json_pack("{s:o}", CMD_AUDIT_AFTER, after);
    status = put_json(head) ? put_rows(args, request, true) : CMD_REFUSED;
    json_decref(head);
    json_decref(request);
    return status;
}

/* ---- who was given what -------------------------------------------------------------------------- */

static void print_vend(const json_t *vend)
{
    char first[CMD_TEXT_TIME_SIZE], last[CMD_TEXT_TIME_SIZE];
    cmd_text_time(number(vend, "first_ms") / 1000, clock_wall_s(), first);
    cmd_text_time(number(vend, "last_ms") / 1000, clock_wall_s(), last);
    printf("%s  %s  %s/%s  %s  generation %" JSON_INTEGER_FORMAT "  x%" JSON_INTEGER_FORMAT
           "  first %s  last %s%s\n",
           cmd_text_of(vend, "principal"), cmd_text_of(vend, "owner"),
           cmd_text_of(vend, "provider"), cmd_text_of(vend, "account"),
           cmd_text_of(vend, "connection"), number(vend, "generation"), number(vend, "count"),
           first, last,
           json_is_true(json_object_get(vend, "export")) ? "  with its refresh token" : "");
}

static void print_vends(const json_t *vends, bool is_first)
{
    size_t i;
    const json_t *vend;
    (void)is_first;
    json_array_foreach(vends, i, vend)
        print_vend(vend);
}

static int put_vends(const struct cmd_args *args, json_t *request)
{
    return cmd_ask_pages(args, "audit.vends", request, "vends", print_vends);
}

static int who(const struct cmd_args *args)
{
    if (args->word_count != 3)
        return cmd_usage(args->cmd, "who: OWNER and CONNECTION");
    json_t *since = request_new(args);
    json_t *request = since ? cmd_request_for(args, args->words[1], args->words[2]) : NULL;
    if (request) {
        json_object_update(request, since);
        set_text(request, "principal", cmd_option(args, "principal"));
    }
    json_decref(since);
    return request ? put_vends(args, request) : CMD_USAGE;
}

static int given(const struct cmd_args *args)
{
    if (args->word_count != 2)
        return cmd_usage(args->cmd, "given: which PRINCIPAL?");
    json_t *request = request_new(args);
    if (!request)
        return CMD_USAGE;
    set_text(request, "principal", args->words[1]);
    set_text(request, "owner", cmd_option(args, "owner"));
    return put_vends(args, request);
}

/* ---- verify -------------------------------------------------------------------------------------- */

/* The row that was noted, as it is kept. 0 or 1 problem, or -1 where no answer came. */
static int check_mark(const struct cmd_args *args, const struct cmd_audit_mark *mark,
                      const json_t *anchor)
{
    char hex[AUDIT_HEX_SIZE];
    const char *hash = NULL;
    audit_hex(mark->link, hex);
    if (mark->seq < (uint64_t)number(anchor, "seq")) {
        cmd_audit_problem(mark->seq, "was noted, and is not kept any more");
        return 1;
    }
    struct cmd_reply reply = cmd_ask_quietly(
        args, "audit.since", json_pack("{s:I,s:i}", "seq", (json_int_t)mark->seq - 1, "limit", 1));
    const json_t *row = json_array_get(json_object_get(reply.root, "rows"), 0);
    if (mark->seq == (uint64_t)number(anchor, "seq"))
        hash = json_string_value(json_object_get(anchor, "hash"));
    else if ((uint64_t)number(row, "seq") == mark->seq)
        hash = json_string_value(json_object_get(row, "hash"));
    int problems = reply.status != CMD_DONE ? -1 : !hash || strcmp(hash, hex) != 0;
    if (problems > 0)
        cmd_audit_problem(mark->seq, hash ? audit_problem_text(AUDIT_OTHER_HEAD)
                                          : "was noted, and is not there");
    cmd_reply_free(&reply);
    return problems;
}

static void print_verdict(const struct cmd_args *args, const json_t *last, json_int_t rows,
                          json_int_t problems)
{
    const json_t *head = json_object_get(last, "head"), *anchor = json_object_get(last, "anchor");
    if (args->is_json) {
        json_t *verdict = json_pack("{s:b,s:I,s:I,s:O,s:O}", "sound", problems == 0, "rows", rows,
                                    "problem_count", problems, "head", head, "anchor", anchor);
        put_json(verdict);
        json_decref(verdict);
        return;
    }
    if (problems == 0)
        printf("%" JSON_INTEGER_FORMAT " rows are as they were written, and sealed\n", rows);
    else
        printf("%" JSON_INTEGER_FORMAT " rows, %" JSON_INTEGER_FORMAT " problems\n", rows,
               problems);
    printf("head %" JSON_INTEGER_FORMAT ":%s\n", number(head, "seq"), cmd_text_of(head, "hash"));
    if (number(anchor, "seq") > 0)
        printf("begins behind %" JSON_INTEGER_FORMAT ":%s\n", number(anchor, "seq"),
               cmd_text_of(anchor, "hash"));
}

static void print_problems(const json_t *reply)
{
    size_t i;
    json_t *problem;
    json_array_foreach(json_object_get(reply, "problems"), i, problem) {
        if (i < PROBLEMS_SHOWN)
            cmd_audit_problem((uint64_t)number(problem, "seq"), cmd_text_of(problem, "text"));
    }
}

static int verify(const struct cmd_args *args)
{
    struct cmd_audit_mark mark;
    json_int_t rows = 0, problems = 0, seq = 0;
    if (!cmd_audit_mark(args, &mark))
        return CMD_USAGE;
    for (int page = 0; page < MAX_PAGES; page++) {
        struct cmd_reply reply =
            cmd_ask_quietly(args, "audit.verify", json_pack("{s:I}", "seq", seq));
        int status = reply.status;
        bool is_end = json_is_true(json_object_get(reply.root, "end"));
        rows += number(reply.root, "rows");
        problems += number(reply.root, "problem_count");
        seq = number(reply.root, "next_seq");
        print_problems(reply.root);
        if (status == CMD_DONE && is_end) {
            int marked =
                mark.seq > 0 ? check_mark(args, &mark, json_object_get(reply.root, "anchor")) : 0;
            problems += marked;
            if (marked >= 0)
                print_verdict(args, reply.root, rows, problems);
            status = problems == 0 && marked >= 0 ? CMD_DONE : CMD_REFUSED;
        }
        cmd_reply_free(&reply);
        if (status != CMD_DONE || is_end)
            return status;
    }
    return CMD_REFUSED;
}

/* ---- which --------------------------------------------------------------------------------------- */

static int verify_log_or_files(const struct cmd_args *args)
{
    return args->word_count > 1 ? cmd_audit_verify_files(args) : verify(args);
}

static int run(const struct cmd_args *args)
{
    static const struct {
        const char *name;
        size_t max_words;
        int (*run)(const struct cmd_args *args);
    } what[] = {{"tail", 1, tail},
                {"verify", CMD_MAX_WORDS, verify_log_or_files},
                {"export", 1, export_rows},
                {"who", 3, who},
                {"given", 2, given}};
    for (size_t i = 0; i < sizeof what / sizeof what[0]; i++) {
        if (strcmp(args->words[0], what[i].name) != 0)
            continue;
        if (args->word_count > what[i].max_words)
            return cmd_usage(args->cmd, "%s: too many words", what[i].name);
        return what[i].run(args);
    }
    return cmd_usage(args->cmd, "tail, verify, export, who or given?");
}

const struct cmd cmd_audit = {
    "audit",
    "tail [--follow] | verify [--head SEQ:HASH] [FILE…] | export [--after SEQ]"
    " | who OWNER CONNECTION | given PRINCIPAL",
    "who was given what and who changed what: show, check or export the audit log",
    options,
    1,
    CMD_MAX_WORDS - 1,
    run,
};
