/* The audit log's journal: rows that were told and have no number yet, because more of the same is counted to
 * them. Each entry is on the disk as soon as a row would be, and costs a tenth of its rows. */
#include <string.h>

#include <bursar/error.h>

#include "base/log.h"
#include "store/sqlite/apply.h"
#include "store/sqlite/writer.h"

enum { ENTRY_MAX = 256 << 20, KEPT_BYTES = 4 << 20 };

static struct buf *empty_entry(struct audit_chain *chain)
{
    if (chain->entry.cap > KEPT_BYTES)
        buf_free(&chain->entry);
    chain->entry.max = ENTRY_MAX;
    buf_clear(&chain->entry);
    return &chain->entry;
}

/* Adds what is in chain->entry. */
static int add_entry(struct store_writer *writer)
{
    struct audit_chain *chain = &writer->audit;
    struct chain_ends *ends = &chain->ends;
    const struct buf *entry = &chain->entry;
    uint8_t link[CHAIN_LINK_LEN];
    if (buf_error(entry) < 0)
        return BURSAR_E_STORE_UNAVAILABLE;
    chain_journal_link(ends->journal, buf_text(entry), link);
    sqlite3_stmt *statement = db_statement(&writer->db, JOURNAL_ADD);
    db_bind_int(statement, 1, (int64_t)ends->journal_nr + 1);
    db_bind_blob(statement, 2, buf_text(entry));
    db_bind_blob(statement, 3, (struct text){(const char *)link, sizeof link});
    int result = db_run(&writer->db, statement);
    if (result < 0)
        return result;
    ends->journal_nr++;
    memcpy(ends->journal, link, sizeof link);
    chain->is_changed = true;
    return 0;
}

int apply_journal_add(struct store_writer *writer, const struct store_change *change)
{
    audit_journal_write(change->audit, change->audit_count, empty_entry(&writer->audit));
    return add_entry(writer);
}

int apply_journal_settle(struct store_writer *writer, const struct store_change *change)
{
    if (change->audit_left > 0) {
        audit_journal_write_mark(change->audit_count, empty_entry(&writer->audit));
        return add_entry(writer);
    }
    struct audit_chain *chain = &writer->audit;
    int result = db_run(&writer->db, db_statement(&writer->db, JOURNAL_DROP));
    if (result < 0)
        return result;
    chain->ends.journal_nr = 0;
    memset(chain->ends.journal, 0, CHAIN_LINK_LEN);
    chain->is_changed = true;
    return 0;
}

int apply_journal_look(struct store_writer *writer, struct chain_ends *ends, bool *out_is_whole)
{
    sqlite3_stmt *statement = db_statement(&writer->db, JOURNAL_ALL);
    uint8_t right[CHAIN_LINK_LEN];
    int code;
    ends->journal_nr = 0;
    memset(ends->journal, 0, CHAIN_LINK_LEN);
    *out_is_whole = true;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        uint64_t nr = (uint64_t)sqlite3_column_int64(statement, 0);
        struct text link = db_column_text(statement, 2);
        chain_journal_link(ends->journal, db_column_text(statement, 1), right);
        if (nr != ends->journal_nr + 1 || link.len != sizeof right ||
            memcmp(link.data, right, sizeof right) != 0)
            *out_is_whole = false;
        ends->journal_nr = nr;
        memcpy(ends->journal, right, sizeof right);
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : db_failed(&writer->db, "audit journal");
}

int writer_audit_gathered(struct store_writer *writer, audit_journal_fn *each,
                          audit_mark_fn *settled, void *context)
{
    sqlite3_stmt *statement = db_statement(&writer->db, JOURNAL_ALL);
    uint64_t count;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct text entry = db_column_text(statement, 1);
        if (audit_journal_read_mark(entry, &count))
            settled(context, count);
        else if (!audit_journal_read(entry, each, context))
            LOG(LOG_ERROR, "an entry of the audit log's journal cannot be read",
                LOG_I("nr", sqlite3_column_int64(statement, 0)));
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : db_failed(&writer->db, "audit journal");
}
