/* The read side of the SQLite store.
 * Thread: the reader's owner. The functions are those of struct store_engine. */
#ifndef STORE_SQLITE_READER_H
#define STORE_SQLITE_READER_H

#include "store/store.h"

int reader_open(const char *path, struct store_reader **out_reader, struct buf *error);
void reader_close(struct store_reader *reader);
void reader_hold(struct store_reader *reader);
void reader_let_go(struct store_reader *reader);
int reader_find(struct store_reader *reader, struct text owner, struct text connection,
                struct text provider, struct text account, struct conn_row *out_row);
int reader_due(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
               store_id_fn *each, void *context, int64_t *out_next_at);
int reader_remind(struct store_reader *reader, struct text provider, int64_t now, size_t limit,
                  store_row_fn *each, void *context, int64_t *out_next_at);
int reader_list(struct store_reader *reader, const struct store_list_filter *filter,
                store_row_fn *each, void *context);
int reader_intents(struct store_reader *reader, struct text provider, struct intent_row **out_rows,
                   size_t *out_count);
int reader_reply(struct store_reader *reader, struct text connection, uint64_t generation,
                 struct buf *out_sealed);
int reader_prior(struct store_reader *reader, struct text connection, uint64_t generation,
                 struct buf *out_sealed);
int reader_events(struct store_reader *reader, uint64_t after_seq, size_t limit,
                  store_event_fn *each, void *context);
int reader_devices(struct store_reader *reader, struct text provider, int64_t now,
                   store_consent_fn *each, void *context);
int reader_forecast(struct store_reader *reader, struct text provider, int64_t due_until,
                    int64_t end_until, struct store_forecast *out_forecast);
int reader_incidents(struct store_reader *reader, struct text provider, store_incident_fn *each,
                     void *context);
int reader_consent(struct store_reader *reader, struct text provider, struct text consent,
                   int64_t now, struct buf *out_sealed);
int reader_sweep(struct store_reader *reader, struct text sweep, store_sweep_fn *each,
                 void *context);
int reader_sweeps(struct store_reader *reader, struct text before, size_t limit,
                  store_sweep_fn *each, void *context);
int reader_sweep_parts(struct store_reader *reader, store_part_fn *each, void *context);
int reader_receipts(struct store_reader *reader, struct text sweep, struct text after, size_t limit,
                    store_receipt_fn *each, void *context);
int reader_asking(struct store_reader *reader, struct text sweep, struct text provider,
                  struct text after, size_t limit, store_receipt_fn *each, void *context);
int reader_tally(struct store_reader *reader, struct text owner, struct text provider,
                 store_tally_fn *each, void *context);
int reader_tally_given(struct store_reader *reader, const struct sweep_selection *selection,
                       store_tally_fn *each, void *context);
int reader_was_given(struct store_reader *reader, struct text principal, struct text connection,
                     int64_t since);
int reader_audit_rows(struct store_reader *reader, const struct store_audit_filter *filter,
                      store_audit_fn *each, void *context);
int reader_given(struct store_reader *reader, const struct store_given_filter *filter,
                 store_given_fn *each, void *context);
int reader_audit_ends(struct store_reader *reader, const struct keyring *keyring,
                      struct store_audit_ends *out_ends);
int reader_audit_check(struct store_reader *reader, const struct keyring *keyring, size_t limit,
                       store_problem_fn *each, void *context, struct store_audit_check *check);
int reader_paused(struct store_reader *reader, struct text provider, int64_t *out_since);
int reader_principals(struct store_reader *reader, store_principal_fn *each, void *context);
int reader_sealed(struct store_reader *reader, struct text owner, struct sealed_cursor *cursor,
                  size_t limit, store_sealed_fn *each, void *context);
int reader_sealed_count(struct store_reader *reader, uint64_t *out_count);
int reader_last_at(struct store_reader *reader, int64_t *out_at_ms);
int reader_counts(struct store_reader *reader, struct store_counts *out_counts);
int reader_last_seq(struct store_reader *reader, uint64_t *out_seq);

#endif
