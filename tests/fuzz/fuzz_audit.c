/* Any bytes as an entry of the journal, and as lines of an exported audit log: rows that come out as they went in, and no two of them with one
 * hash; what is no row is none. */
#include <string.h>

#include <bursar/error.h>

#include "fuzz.h"
#include "store/audit.h"
#include "store/audit_journal.h"
#include "wire/json.h"

struct reading {
    struct tree *tree;
    struct buf body;
    struct audit_walk walk;
};

/* Written anew and read again it is the same row, and has the same link. */
static void check_row(const struct audit_row *row, const uint8_t link[static CHAIN_LINK_LEN])
{
    struct audit_row again;
    uint8_t read_link[CHAIN_LINK_LEN], before[CHAIN_LINK_LEN] = {0}, first[CHAIN_LINK_LEN],
                                       second[CHAIN_LINK_LEN];
    struct buf packed = buf_make(1 << 20), scratch = buf_make(1 << 20);
    struct tree *tree = tree_new();
    struct pack map = pack_map(&packed);
    audit_pack(&map, row, link);
    pack_close(&map);
    FUZZ_MUST(buf_error(&packed) == 0 && tree && tree_fill(tree, buf_text(&packed)) == 0);
    FUZZ_MUST(audit_read(tree_root(tree), &again, read_link));
    FUZZ_MUST(memcmp(link, read_link, CHAIN_LINK_LEN) == 0);
    FUZZ_MUST(audit_link(before, row, &scratch, first) == 0);
    FUZZ_MUST(audit_link(before, &again, &scratch, second) == 0);
    FUZZ_MUST(memcmp(first, second, CHAIN_LINK_LEN) == 0);
    again.count++;
    FUZZ_MUST(audit_link(before, &again, &scratch, second) == 0);
    FUZZ_MUST(memcmp(first, second, CHAIN_LINK_LEN) != 0);
    tree_free(tree);
    buf_free(&packed);
    buf_free(&scratch);
}

static void take_line(struct reading *reading, struct text line)
{
    struct buf error = buf_make(512);
    struct audit_row row;
    uint8_t link[CHAIN_LINK_LEN];
    buf_clear(&reading->body);
    if (json_to_pack(line, &reading->body, &error) == 0 &&
        tree_fill(reading->tree, buf_text(&reading->body)) == 0 &&
        audit_read(tree_root(reading->tree), &row, link)) {
        FUZZ_MUST(row.seq > 0 && row.kind > 0 && row.kind < AUDIT_KIND_END);
        check_row(&row, link);
        enum audit_problem problem = audit_walk_row(&reading->walk, &row, link);
        FUZZ_MUST(audit_problem_name(problem) && audit_problem_text(problem));
        FUZZ_MUST(reading->walk.seq == row.seq);
        FUZZ_MUST(memcmp(reading->walk.link, link, CHAIN_LINK_LEN) == 0);
    }
    buf_free(&error);
}

/* ---- the journal --------------------------------------------------------------------------------- */

struct entry {
    struct audit_row rows[256];
    size_t count, total;
};

static void take_row(void *context, const struct audit_row *row)
{
    struct entry *entry = context;
    FUZZ_MUST(row->kind > 0 && row->kind < AUDIT_KIND_END && row->count > 0);
    if (entry->count < sizeof entry->rows / sizeof entry->rows[0])
        entry->rows[entry->count++] = *row;
    entry->total++;
}

/* Rows that are read are written so that they are read again. */
static void take_entry(struct text bytes)
{
    static struct entry first, second;
    struct buf written = buf_make(1 << 24), again = buf_make(1 << 24);
    first.count = first.total = second.count = second.total = 0;
    audit_journal_read(bytes, take_row, &first);
    audit_journal_write(first.rows, first.count, &written);
    FUZZ_MUST(buf_error(&written) == 0);
    FUZZ_MUST(audit_journal_read(buf_text(&written), take_row, &second));
    FUZZ_MUST(second.total == first.count);
    audit_journal_write(second.rows, second.count, &again);
    FUZZ_MUST(text_equal(buf_text(&written), buf_text(&again)));
    buf_free(&written);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zero[CHAIN_LINK_LEN];
    struct reading reading = {.tree = tree_new(), .body = buf_make(1 << 20)};
    FUZZ_MUST(reading.tree);
    take_entry((struct text){(const char *)data, size});
    audit_walk_from(&reading.walk, 0, zero);
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end ? (size_t)(end - (data + at)) : size - at;
        take_line(&reading, (struct text){(const char *)data + at, len});
        at += len + 1;
    }
    audit_walk_free(&reading.walk);
    tree_free(reading.tree);
    buf_free(&reading.body);
    return 0;
}
