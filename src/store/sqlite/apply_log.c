/* Changes that are no single connection's: incidents, the end of the log, a clock that was set back. */
#include "policy/retry.h"
#include "policy/vend.h"
#include "store/event.h"
#include "store/sqlite/apply.h"

int apply_incident(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement =
        db_statement(&writer->db, change->is_begin ? INCIDENT_ADD : INCIDENT_DROP);
    db_bind_text(statement, 1, change->provider);
    db_bind_int(statement, 2, (int64_t)change->incident);
    if (change->is_begin)
        db_bind_int(statement, 3, change->at_ms);
    int result = db_run(&writer->db, statement);
    if (result < 0 || sqlite3_changes(writer->db.handle) == 0)
        return result; /* it has begun, or ended, already */
    struct event event = {.type = EVENT_INCIDENT,
                          .provider = change->provider,
                          .phase = change->is_begin ? "begin" : "end",
                          .incident = incident_kind_name(change->incident),
                          .reason = {change->reason, verdict_class_name(change->outcome),
                                     change->http_status, change->provider_error, NULL}};
    return apply_event(writer, change, &event);
}

int apply_trim(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, EVENT_TRIM);
    db_bind_int(statement, 1, change->at_ms);
    db_bind_int(statement, 2, STORE_TRIM_ROWS);
    db_bind_int(statement, 3, change->now_ms);
    uint64_t receipts = 0;
    int result = db_run(&writer->db, statement);
    change->generation = result == 0 ? (uint64_t)sqlite3_changes(writer->db.handle) : 0;
    if (result == 0)
        result = apply_sweep_trim(writer, change->at_ms / 1000, &receipts);
    if (receipts > change->generation)
        change->generation = receipts;
    return result;
}

int apply_replan(struct store_writer *writer, struct store_change *change)
{
    sqlite3_stmt *statement = db_statement(&writer->db, REPLAN);
    db_bind_text(statement, 1, change->provider);
    db_bind_int(statement, 2, change->at_ms / 1000);
    db_bind_int(statement, 3, VEND_CLOCK_SLACK_S);
    db_bind_int(statement, 4, 2 * RETRY_AFTER_MAX_MS / 1000);
    int result = db_run(&writer->db, statement);
    change->generation = result == 0 ? (uint64_t)sqlite3_changes(writer->db.handle) : 0;
    if (result < 0)
        return result;
    statement = db_statement(&writer->db, REPLAN_REMINDERS);
    db_bind_text(statement, 1, change->provider);
    db_bind_int(statement, 2, change->remind_at);
    return db_run(&writer->db, statement);
}
