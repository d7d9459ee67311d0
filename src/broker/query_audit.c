/* The audit log as administrators see it: its rows, who was given what, whether it is sound. */
#include <stdlib.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "broker/memory.h"
#include "broker/query_parts.h"
#include "wire/pack.h"

enum {
    ROWS_DEFAULT = 1000,
    VERIFY_DEFAULT = 50000, /* rows of one look: others wait behind it */
    LOOK_AT = 100000,       /* rows of one look that need not fit */
    PROBLEMS_MAX = 100,     /* told in one answer */
    BODY_STOP = 8 << 20     /* a page ends where it has grown to this */
};

static int64_t since_ms(const struct job *job)
{
    return job->since > 0 ? job->since * 1000 : INT64_MIN;
}

static void pack_end(struct pack *map, const char *key, uint64_t seq,
                     const uint8_t link[static CHAIN_LINK_LEN])
{
    char hex[AUDIT_HEX_SIZE];
    audit_hex(link, hex);
    struct pack end = pack_map_in(map, key);
    pack_uint(&end, "seq", seq);
    pack_string(&end, "hash", hex);
    pack_close(&end);
}

static void pack_ends(struct pack *map, const struct store_audit_ends *ends)
{
    pack_end(map, "head", ends->ends.seq, ends->ends.link);
    pack_end(map, "anchor", ends->ends.anchor_seq, ends->ends.anchor);
}

/* ---- audit.since --------------------------------------------------------------------------------- */

struct rows_page {
    struct pack rows;
    uint64_t last_seq;
    size_t count;
    bool is_full;
};

static bool list_row(void *context, const struct audit_row *row,
                     const uint8_t link[static CHAIN_LINK_LEN])
{
    struct rows_page *page = context;
    page->is_full = page->rows.out->len > BODY_STOP;
    if (page->is_full)
        return false;
    struct pack map = pack_item_map(&page->rows);
    audit_pack(&map, row, link);
    pack_close(&map);
    page->last_seq = row->seq;
    page->count++;
    return true;
}

int query_audit_since(struct query *self, const struct job *job, struct answer *answer)
{
    const struct store_engine *store = self->broker->store;
    struct store_audit_ends ends;
    int result = store->audit_ends(self->reader, self->broker->keyring, &ends);
    if (result < 0)
        return result;
    const struct store_audit_filter filter = {
        .after_seq = job->seq,
        .until_seq = job->seq < INT64_MAX - LOOK_AT ? job->seq + LOOK_AT : INT64_MAX,
        .principal = job->principal,
        .owner = job->owner,
        .connection = job->connection,
        .since_ms = since_ms(job),
        .limit = job->limit > 0 ? job->limit : ROWS_DEFAULT};
    struct pack map = pack_map(&answer->body);
    struct rows_page page = {.rows = pack_array_in(&map, "rows"), .last_seq = job->seq};
    result = store->audit_rows(self->reader, &filter, list_row, &page);
    pack_close(&page.rows);
    uint64_t end = ends.ends.seq < filter.until_seq ? ends.ends.seq : filter.until_seq;
    bool is_partial = page.is_full || page.count == filter.limit;
    pack_uint(&map, "next_seq",
              is_partial || page.last_seq > end ? page.last_seq
              : end > job->seq                  ? end
                                                : job->seq);
    pack_ends(&map, &ends);
    pack_close(&map);
    return result;
}

/* ---- audit.vends --------------------------------------------------------------------------------- */

struct given_page {
    struct pack items;
    uint32_t left;
    bool is_of_connection, is_more;
    struct buf cursor; /* of the last one that was given */
};

static bool list_given(void *context, const struct store_given *given)
{
    struct given_page *page = context;
    page->is_more = page->left == 0 || page->items.out->len > BODY_STOP;
    if (page->is_more)
        return false;
    page->left--;
    struct pack map = pack_item_map(&page->items);
    pack_text(&map, "principal", given->principal);
    pack_text(&map, "owner", given->owner);
    pack_text(&map, "connection", given->connection);
    pack_text(&map, "provider", given->provider);
    pack_text(&map, "account", given->account);
    pack_uint(&map, "generation", given->generation);
    pack_int(&map, "first_ms", given->first_ms);
    pack_int(&map, "last_ms", given->last_ms);
    pack_uint(&map, "count", given->count);
    if (given->has_export)
        pack_bool(&map, "export", true);
    pack_close(&map);
    buf_clear(&page->cursor);
    buf_printf(&page->cursor, "%llu/", (unsigned long long)given->generation);
    buf_append_text(&page->cursor, page->is_of_connection ? given->principal : given->connection);
    return true;
}

static bool read_cursor(struct text cursor, struct store_given_filter *filter)
{
    size_t i = 0;
    if (!cursor.data)
        return true;
    while (i < cursor.len && cursor.data[i] != '/')
        i++;
    filter->after = (struct text){cursor.data + i + 1, cursor.len - i - (i < cursor.len)};
    return i < cursor.len &&
           text_to_uint((struct text){cursor.data, i}, INT64_MAX, &filter->after_generation);
}

/* The connection that provider and account mean now. One that is gone has its id alone. */
static int find_connection(struct query *self, const struct job *job, struct conn_row *out_row)
{
    struct text account = job->account.data ? job->account : TEXT_LITERAL(BURSAR_DEFAULT_ACCOUNT);
    return self->broker->store->find(self->reader, job->owner, (struct text){NULL, 0},
                                     job->provider, account, out_row);
}

int query_audit_vends(struct query *self, const struct job *job, struct answer *answer)
{
    struct conn_row row = {0};
    struct store_given_filter filter = {.connection = job->connection,
                                        .principal = job->principal,
                                        .owner = job->owner,
                                        .since_ms = since_ms(job)};
    int result = job->provider.data ? find_connection(self, job, &row) : 0;
    if (result < 0)
        return result;
    if (job->provider.data)
        filter.connection = row.id;
    if (!read_cursor(job->cursor, &filter)) {
        buf_append_string(&answer->text, "cursor is not one that was given out");
        conn_row_free(&row);
        return BURSAR_E_BAD_REQUEST;
    }
    struct pack map = pack_map(&answer->body);
    struct given_page page = {.items = pack_array_in(&map, "vends"),
                              .left = job->limit > 0 ? job->limit : ROWS_DEFAULT,
                              .is_of_connection = filter.connection.data != NULL,
                              .cursor = buf_make(2048)};
    filter.limit = page.left + (size_t)1;
    result = self->broker->store->given(self->reader, &filter, list_given, &page);
    pack_close(&page.items);
    if (page.is_more)
        pack_text(&map, "cursor", buf_text(&page.cursor));
    pack_close(&map);
    buf_free(&page.cursor);
    conn_row_free(&row);
    return result;
}

/* ---- audit.verify, audit.head -------------------------------------------------------------------- */

struct problem_list {
    struct pack list;
    size_t count;
};

static void list_problem(void *context, uint64_t seq, enum audit_problem problem)
{
    struct problem_list *problems = context;
    if (problems->count++ >= PROBLEMS_MAX)
        return;
    struct pack map = pack_item_map(&problems->list);
    pack_uint(&map, "seq", seq);
    pack_string(&map, "problem", audit_problem_name(problem));
    pack_string(&map, "text", audit_problem_text(problem));
    pack_close(&map);
}

int query_audit_verify(struct query *self, const struct job *job, struct answer *answer)
{
    struct store_audit_check check = {.after_seq = job->seq};
    struct pack map = pack_map(&answer->body);
    struct problem_list problems = {.list = pack_array_in(&map, "problems")};
    int result = self->broker->store->audit_check(self->reader, self->broker->keyring,
                                                  job->limit > 0 ? job->limit : VERIFY_DEFAULT,
                                                  list_problem, &problems, &check);
    pack_close(&problems.list);
    pack_uint(&map, "problem_count", problems.count);
    pack_uint(&map, "rows", check.rows);
    pack_uint(&map, "next_seq", check.after_seq);
    pack_bool(&map, "end", check.is_end);
    pack_ends(&map, &check.ends);
    pack_close(&map);
    return result;
}

int query_pack_audit(struct query *self, struct pack *map)
{
    const struct broker *broker = self->broker;
    struct store_audit_ends ends;
    int result = broker->store->audit_ends(self->reader, broker->keyring, &ends);
    if (result < 0)
        return result;
    struct pack audit = pack_map_in(map, "audit");
    pack_string(&audit, "mode", broker->config->is_audit_strict ? "strict" : "buffered");
    pack_string(&audit, "seal", audit_problem_name(ends.seal));
    pack_ends(&audit, &ends);
    if (ends.first_ms != 0)
        pack_int(&audit, "first_at_ms", ends.first_ms);
    pack_close(&audit);
    return 0;
}

int query_audit_head(struct query *self, const struct job *job, struct answer *answer)
{
    (void)job;
    struct pack map = pack_map(&answer->body);
    int result = query_pack_audit(self, &map);
    pack_close(&map);
    return result;
}
