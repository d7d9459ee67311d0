/* The audit log's write side: which changes have a row, how rows are chained, how old ones go. */
#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sqlite/apply.h"
#include "store/sqlite/writer.h"

enum { DETAIL_MAX = 8192 };

static const struct text none = {NULL, 0};

/* ---- rows ---------------------------------------------------------------------------------------- */

/* row->seq is filled in here. */
static int add_row(struct store_writer *writer, struct audit_row *row)
{
    struct audit_chain *chain = &writer->audit;
    uint8_t link[CHAIN_LINK_LEN];
    const int64_t numbers[] = {(int64_t)(row->seq = chain->ends.seq + 1),
                               row->at_ms,
                               row->last_ms,
                               (int64_t)row->count,
                               row->kind,
                               (int64_t)row->generation};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    if (audit_link(chain->ends.link, row, &chain->scratch, link) < 0)
        return BURSAR_E_STORE_UNAVAILABLE;
    sqlite3_stmt *statement = db_statement(&writer->db, AUDIT_ADD);
    for (int i = 0; i < NUMBERS; i++)
        db_bind_int(statement, i + 1, numbers[i]);
    db_bind_blob(statement, NUMBERS + 1, (struct text){(const char *)link, sizeof link});
    for (int i = 0; i < AUDIT_TEXTS; i++)
        db_bind_text(statement, NUMBERS + 2 + i, *audit_text(row, (size_t)i));
    int result = db_run(&writer->db, statement);
    if (result < 0)
        return result;
    chain->ends.seq = row->seq;
    memcpy(chain->ends.link, link, sizeof link);
    chain->is_changed = true;
    return 0;
}

static int add_log_row(struct store_writer *writer, int64_t at_ms, const char *op,
                       struct text detail)
{
    struct audit_row row = {.at_ms = at_ms,
                            .last_ms = at_ms,
                            .count = 1,
                            .kind = AUDIT_LOG,
                            .op = text_of(op),
                            .outcome = TEXT_LITERAL("ok"),
                            .detail = detail};
    return add_row(writer, &row);
}

int apply_audit(struct store_writer *writer, struct store_change *change)
{
    int result = 0;
    if (!writer->audit.keyring)
        return 0;
    if (change->audit_how == AUDIT_GATHER)
        return apply_journal_add(writer, change);
    for (size_t i = 0; i < change->audit_count && result == 0; i++) {
        struct audit_row row = change->audit[i];
        result = add_row(writer, &row);
    }
    if (result == 0 && change->audit_how == AUDIT_SETTLE)
        result = apply_journal_settle(writer, change);
    return result;
}

int apply_audit_seal(struct store_writer *writer)
{
    struct audit_chain *chain = &writer->audit;
    const struct chain_ends *ends = &chain->ends;
    struct chain_seal seal;
    if (!chain->is_changed)
        return 0;
    chain->is_changed = false;
    if (chain_seal(chain->keyring, ends, &seal) < 0)
        return BURSAR_E_STORE_UNAVAILABLE;
    sqlite3_stmt *statement = db_statement(&writer->db, AUDIT_SEAL);
    db_bind_int(statement, 1, (int64_t)ends->anchor_seq);
    db_bind_blob(statement, 2, (struct text){(const char *)ends->anchor, sizeof ends->anchor});
    db_bind_int(statement, 3, (int64_t)ends->seq);
    db_bind_blob(statement, 4, (struct text){(const char *)ends->link, sizeof ends->link});
    db_bind_blob(statement, 5, (struct text){(const char *)seal.key_id, sizeof seal.key_id});
    db_bind_blob(statement, 6, (struct text){(const char *)seal.bytes, sizeof seal.bytes});
    db_bind_int(statement, 7, (int64_t)ends->journal_nr);
    if (ends->journal_nr > 0)
        db_bind_blob(statement, 8, (struct text){(const char *)ends->journal, CHAIN_LINK_LEN});
    return db_run(&writer->db, statement);
}

/* ---- changes ------------------------------------------------------------------------------------- */

/* Which changes have a row, under which op. What only keeps the broker's own books has none. */
static const struct {
    const char *op;
    bool needs_origin; /* without one it is the planner's bookkeeping */
} rules[CHANGE_TYPE_END] = {
    [CHANGE_CREATE] = {.op = "connection.create"},
    [CHANGE_PUT] = {.op = "credential.put"},
    [CHANGE_UPDATE] = {.op = "connection.update"},
    [CHANGE_MOVE] = {.op = "connection.revoke"}, /* see op_of() */
    [CHANGE_INVALIDATE] = {.op = "invalidate"},
    [CHANGE_PLAN] = {.op = "refresh", .needs_origin = true},
    [CHANGE_REFRESHED] = {.op = "refresh"},
    [CHANGE_FAILED] = {.op = "refresh"},
    [CHANGE_CONSENT] = {.op = "connect.begin"},
    [CHANGE_SWEEP] = {.op = "connection.freeze"}, /* see op_of() */
    [CHANGE_SWEEP_CANCEL] = {.op = "sweep.cancel"},
    [CHANGE_PRINCIPAL] = {.op = "principal.update"}, /* see op_of() */
    [CHANGE_SHRED] = {.op = "key.shred"},
    [CHANGE_PAUSE] = {.op = "provider.resume"}, /* see op_of() */
};

static const char *op_of(const struct store_change *change)
{
    static const char *const moves[MOVE_END] = {[MOVE_REVOKE] = "connection.revoke",
                                                [MOVE_RESTORE] = "connection.restore",
                                                [MOVE_FREEZE] = "connection.freeze",
                                                [MOVE_THAW] = "connection.thaw",
                                                [MOVE_DELETE] = "connection.delete"};
    static const char *const sweeps[SWEEP_ACTION_END] = {[SWEEP_FREEZE] = "connection.freeze",
                                                         [SWEEP_THAW] = "connection.thaw",
                                                         [SWEEP_REVOKE] = "connection.revoke"};
    const char *op = rules[change->type].op;
    if (change->type == CHANGE_MOVE && change->move < MOVE_END && moves[change->move])
        op = moves[change->move];
    if (change->type == CHANGE_SWEEP && change->sweep->action < SWEEP_ACTION_END)
        op = sweeps[change->sweep->action];
    if (change->type == CHANGE_PAUSE && change->is_begin)
        op = "provider.pause";
    if (change->type == CHANGE_PRINCIPAL && (change->is_new || !change->definition.data))
        op = change->is_new ? "principal.add" : "principal.remove";
    if (change->type == CHANGE_CONSENT && change->is_device)
        op = "connect.device";
    return op;
}

static void add_word(struct buf *to, const char *name, struct text value)
{
    if (!value.data)
        return;
    buf_append_string(to, to->len > 0 ? " " : "");
    buf_append_string(to, name);
    buf_append_text(to, value);
}

/* What the columns do not say: the sweep and its selection, the job that a refresh was for, a reason. */
static struct text detail_of(struct store_writer *writer, const struct store_change *change,
                             const char *op)
{
    struct buf *to = &writer->audit.detail;
    const struct audit_origin *origin = change->origin;
    if (to->max == 0)
        *to = buf_make(DETAIL_MAX);
    buf_clear(to);
    if (change->sweep) {
        const struct sweep_selection *selection = &change->sweep->selection;
        add_word(to, "", change->sweep->sweep);
        add_word(to, "provider=", selection->provider);
        add_word(to, "owner=", selection->owner);
        add_word(to, "tag=", selection->tag);
        add_word(to, "client=", selection->client);
        add_word(to, "vended_to=", selection->principal);
        if (selection->principal.data)
            buf_printf(to, " since=%lld", (long long)selection->vended_since);
    }
    if (change->type == CHANGE_PRINCIPAL)
        add_word(to, "principal=", change->principal);
    if (origin)
        add_word(to, "", origin->detail);
    if (origin && origin->op && strcmp(origin->op, op) != 0)
        add_word(to, "for ", text_of(origin->op));
    if (change->reason.len > 0)
        add_word(to, "reason=", change->reason);
    return to->len > 0 ? buf_text(to) : none;
}

static struct text first_of(struct text one, struct text other)
{
    return one.data ? one : other;
}

int apply_audit_change(struct store_writer *writer, const struct store_change *change)
{
    const struct audit_origin *origin = change->origin;
    if (!writer->audit.keyring || !rules[change->type].op ||
        (rules[change->type].needs_origin && !origin))
        return 0;
    bool has_failed = change->type == CHANGE_FAILED;
    bool is_known = change->generation > 0;
    const char *op = op_of(change);
    struct audit_row row = {.at_ms = change->at_ms,
                            .last_ms = change->at_ms,
                            .count = 1,
                            .kind = AUDIT_CHANGE,
                            .generation = is_known ? change->generation : change->expect_generation,
                            .principal = origin ? origin->principal : none,
                            .peer = origin ? origin->peer : none,
                            .purpose = origin ? origin->purpose : none,
                            .op = text_of(op),
                            .owner = first_of(writer->about.owner, change->owner),
                            .connection = change->connection.len > 0 ? change->connection : none,
                            .provider = first_of(writer->about.provider, change->provider),
                            .account = first_of(writer->about.account, change->account),
                            .outcome =
                                text_of(has_failed ? verdict_class_name(change->outcome) : "ok"),
                            .detail = detail_of(writer, change, op)};
    return add_row(writer, &row);
}

/* ---- old rows ------------------------------------------------------------------------------------ */

/* Whether the first row behind seq that no clock has dated in the future is old: then all before it are. */
static int ask_behind(struct store_writer *writer, const struct store_change *change, uint64_t seq,
                      int64_t now_ms, bool *out_is_old)
{
    sqlite3_stmt *statement = db_statement(&writer->db, AUDIT_DATED);
    db_bind_int(statement, 1, (int64_t)seq);
    db_bind_int(statement, 2, now_ms < change->at_ms ? change->at_ms : now_ms);
    int code = sqlite3_step(statement);
    *out_is_old = code == SQLITE_ROW && sqlite3_column_int64(statement, 0) < change->at_ms;
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : db_failed(&writer->db, "old audit rows");
}

static void set_anchor(struct chain_ends *ends, uint64_t seq, const uint8_t *link)
{
    ends->anchor_seq = seq;
    memcpy(ends->anchor, link, CHAIN_LINK_LEN);
}

/* The last row that is old, of those at the beginning; 0: none is. What a clock has dated in the future, which was
 * set back since, goes with an old row behind it, however far behind that is. */
static int find_old(struct store_writer *writer, const struct store_change *change,
                    struct chain_ends *ends, uint64_t *out_count)
{
    sqlite3_stmt *statement = db_statement(&writer->db, AUDIT_OLD);
    int64_t now_ms = clock_wall_ms();
    uint64_t looked_at = 0, seq = 0;
    uint8_t link[CHAIN_LINK_LEN];
    bool is_old = false;
    int code;
    db_bind_int(statement, 1, STORE_TRIM_ROWS);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct text bytes = db_column_text(statement, 1);
        int64_t last_ms = sqlite3_column_int64(statement, 2);
        is_old = last_ms < change->at_ms;
        if (bytes.len != CHAIN_LINK_LEN || (!is_old && last_ms <= now_ms))
            break; /* the first is no row of ours: it stays, to be seen */
        looked_at++;
        seq = (uint64_t)sqlite3_column_int64(statement, 0);
        memcpy(link, bytes.data, CHAIN_LINK_LEN);
        if (!is_old)
            continue;
        set_anchor(ends, seq, link);
        *out_count = looked_at;
    }
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_failed(&writer->db, "old audit rows");
    if (looked_at < STORE_TRIM_ROWS || is_old)
        return 0;
    int result = ask_behind(writer, change, seq, now_ms, &is_old);
    if (result == 0 && is_old) {
        set_anchor(ends, seq, link);
        *out_count = looked_at;
    }
    return result;
}

/* The last row that goes becomes what the next one is linked to. */
int apply_audit_trim(struct store_writer *writer, struct store_change *change)
{
    struct chain_ends *ends = &writer->audit.ends;
    uint64_t count = 0;
    char detail[64];
    change->generation = 0;
    int result = writer->audit.keyring ? find_old(writer, change, ends, &count) : 0;
    if (result < 0 || count == 0)
        return result;
    sqlite3_stmt *statement = db_statement(&writer->db, AUDIT_DROP);
    db_bind_int(statement, 1, (int64_t)ends->anchor_seq);
    result = db_run(&writer->db, statement);
    snprintf(detail, sizeof detail, "through=%llu rows=%llu", (unsigned long long)ends->anchor_seq,
             (unsigned long long)count);
    if (result == 0)
        result = add_log_row(writer, clock_wall_ms(), AUDIT_OP_TRIM, text_of(detail));
    change->generation = count;
    return result;
}

/* ---- the beginning ------------------------------------------------------------------------------- */

/* What is found when the store is opened. */
struct found {
    bool has_ends, has_last;
    struct chain_ends ends; /* as they are sealed */
    struct chain_seal seal;
    uint64_t last_seq; /* of the rows */
    uint8_t last_link[CHAIN_LINK_LEN];
    struct chain_ends journal; /* that of what is there */
    bool is_journal_whole;
};

static bool take_bytes(sqlite3_stmt *statement, int column, void *to, size_t len)
{
    struct text bytes = db_column_text(statement, column);
    if (bytes.len != len)
        return false;
    memcpy(to, bytes.data, len);
    return true;
}

static int look(struct store_writer *writer, struct found *found)
{
    sqlite3_stmt *statement = db_statement(&writer->db, AUDIT_LOAD);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        found->ends.anchor_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        found->ends.seq = (uint64_t)sqlite3_column_int64(statement, 2);
        found->has_ends = take_bytes(statement, 1, found->ends.anchor, CHAIN_LINK_LEN) &&
                          take_bytes(statement, 3, found->ends.link, CHAIN_LINK_LEN) &&
                          take_bytes(statement, 4, found->seal.key_id, KEYRING_ID_LEN) &&
                          take_bytes(statement, 5, found->seal.bytes, CHAIN_SEAL_LEN);
        found->ends.journal_nr = (uint64_t)sqlite3_column_int64(statement, 6);
        if (found->ends.journal_nr > 0 &&
            !take_bytes(statement, 7, found->ends.journal, CHAIN_LINK_LEN))
            found->has_ends = false;
    }
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_failed(&writer->db, "audit ends");
    statement = db_statement(&writer->db, AUDIT_LAST);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        found->last_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        found->has_last = take_bytes(statement, 1, found->last_link, CHAIN_LINK_LEN);
    }
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_failed(&writer->db, "audit rows");
    return apply_journal_look(writer, &found->journal, &found->is_journal_whole);
}

static enum audit_problem judge_journal(const struct found *found)
{
    const struct chain_ends *sealed = &found->ends, *there = &found->journal;
    if (there->journal_nr != sealed->journal_nr)
        return there->journal_nr < sealed->journal_nr ? AUDIT_CUT_OFF : AUDIT_UNSEALED;
    bool is_same = memcmp(there->journal, sealed->journal, CHAIN_LINK_LEN) == 0;
    return found->is_journal_whole && is_same ? AUDIT_SOUND : AUDIT_ALTERED;
}

static enum audit_problem judge(const struct keyring *keyring, const struct found *found)
{
    if (!found->has_ends)
        return AUDIT_NO_SEAL;
    int result = chain_check(keyring, &found->ends, &found->seal);
    if (result < 0)
        return result == BURSAR_E_UNKNOWN_KEY ? AUDIT_NO_KEY : AUDIT_BAD_SEAL;
    uint64_t last_seq = found->has_last ? found->last_seq : found->ends.anchor_seq;
    const uint8_t *last = found->has_last ? found->last_link : found->ends.anchor;
    if (last_seq != found->ends.seq)
        return last_seq < found->ends.seq ? AUDIT_CUT_OFF : AUDIT_UNSEALED;
    if (memcmp(last, found->ends.link, CHAIN_LINK_LEN) != 0)
        return AUDIT_ALTERED;
    return judge_journal(found);
}

/* The log goes on behind what is there, with a row that says so for ever: sealing what was found as if it
 * were right would hide it. Numbers of rows that were cut off are not given again. */
static int go_on_behind_break(struct store_writer *writer, const struct found *found,
                              enum audit_problem problem, int64_t at_ms)
{
    struct chain_ends *ends = &writer->audit.ends;
    bool is_sealed =
        problem == AUDIT_CUT_OFF || problem == AUDIT_UNSEALED || problem == AUDIT_ALTERED;
    char detail[224];
    int len = snprintf(
        detail, sizeof detail, "%s sealed_seq=%llu last_seq=%llu", audit_problem_name(problem),
        (unsigned long long)(is_sealed ? found->ends.seq : 0), (unsigned long long)found->last_seq);
    if (found->ends.journal_nr > 0 || found->journal.journal_nr > 0)
        snprintf(detail + len, sizeof detail - (size_t)len, " sealed_journal=%llu journal=%llu",
                 (unsigned long long)(is_sealed ? found->ends.journal_nr : 0),
                 (unsigned long long)found->journal.journal_nr);
    LOG(LOG_ERROR, "the audit log was changed while no daemon wrote it", LOG_S("what", detail));
    *ends = is_sealed ? found->ends : (struct chain_ends){0};
    ends->journal_nr = found->journal.journal_nr;
    memcpy(ends->journal, found->journal.journal, CHAIN_LINK_LEN);
    if (found->has_last)
        memcpy(ends->link, found->last_link, CHAIN_LINK_LEN);
    if (found->last_seq > ends->seq || !is_sealed)
        ends->seq = found->last_seq;
    return add_log_row(writer, at_ms, AUDIT_OP_BREAK, text_of(detail));
}

static int continue_log(struct store_writer *writer, const struct found *found, int64_t at_ms)
{
    struct audit_chain *chain = &writer->audit;
    if (!found->has_ends && !found->has_last && found->journal.journal_nr == 0)
        return add_log_row(writer, at_ms, AUDIT_OP_BEGIN, none);
    enum audit_problem problem = judge(chain->keyring, found);
    if (problem != AUDIT_SOUND)
        return go_on_behind_break(writer, found, problem, at_ms);
    chain->ends = found->ends;
    /* An old key's seal is made anew, so that the key can go. */
    chain->is_changed = !chain_is_current(chain->keyring, &found->seal);
    return 0;
}

int writer_audit_open(struct store_writer *writer, const struct keyring *keyring, int64_t at_ms)
{
    struct found found = {0};
    writer->audit.keyring = keyring;
    int result = db_run(&writer->db, db_statement(&writer->db, BEGIN));
    if (result == 0)
        result = look(writer, &found);
    if (result == 0)
        result = continue_log(writer, &found, at_ms);
    if (result == 0)
        result = apply_audit_seal(writer);
    if (result == 0)
        result = db_run(&writer->db, db_statement(&writer->db, COMMIT));
    if (result < 0 && !sqlite3_get_autocommit(writer->db.handle))
        db_run(&writer->db, db_statement(&writer->db, ROLLBACK));
    return result;
}

struct chain_ends writer_audit_end(const struct store_writer *writer)
{
    return writer->audit.ends;
}
