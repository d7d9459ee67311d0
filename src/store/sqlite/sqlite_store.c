#include "store/sqlite/sqlite_store.h"

#include <sqlite3.h>

#include "store/sqlite/reader.h"
#include "store/sqlite/writer.h"

/* SQLite counts each allocation of the process under one lock. */
static void own_process(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

const struct store_engine sqlite_engine = {
    .scheme = "sqlite",
    .own_process = own_process,
    .writer_open = writer_open,
    .writer_close = writer_close,
    .apply = writer_apply,
    .can_write = writer_can_write,
    .audit_open = writer_audit_open,
    .audit_end = writer_audit_end,
    .audit_gathered = writer_audit_gathered,
    .tidy = writer_tidy,
    .reader_open = reader_open,
    .reader_close = reader_close,
    .hold = reader_hold,
    .let_go = reader_let_go,
    .find = reader_find,
    .incidents = reader_incidents,
    .forecast = reader_forecast,
    .due = reader_due,
    .remind = reader_remind,
    .list = reader_list,
    .intents = reader_intents,
    .devices = reader_devices,
    .consent = reader_consent,
    .reply = reader_reply,
    .events = reader_events,
    .sweep = reader_sweep,
    .sweeps = reader_sweeps,
    .sweep_parts = reader_sweep_parts,
    .receipts = reader_receipts,
    .asking = reader_asking,
    .prior = reader_prior,
    .tally = reader_tally,
    .tally_given = reader_tally_given,
    .was_given = reader_was_given,
    .audit_rows = reader_audit_rows,
    .given = reader_given,
    .audit_ends = reader_audit_ends,
    .audit_check = reader_audit_check,
    .paused = reader_paused,
    .principals = reader_principals,
    .counts = reader_counts,
    .last_seq = reader_last_seq,
    .sealed = reader_sealed,
    .sealed_count = reader_sealed_count,
    .last_at = reader_last_at,
};
