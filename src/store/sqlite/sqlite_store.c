#include "store/sqlite/sqlite_store.h"

#include "store/sqlite/reader.h"
#include "store/sqlite/writer.h"

const struct store_engine sqlite_engine = {
    .scheme = "sqlite",
    .writer_open = writer_open,
    .writer_close = writer_close,
    .apply = writer_apply,
    .can_write = writer_can_write,
    .tidy = writer_tidy,
    .reader_open = reader_open,
    .reader_close = reader_close,
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
    .paused = reader_paused,
    .principals = reader_principals,
    .counts = reader_counts,
    .sealed = reader_sealed,
    .sealed_count = reader_sealed_count,
    .last_at = reader_last_at,
};
