/* The statements of the write side. */
#include "store/sqlite/apply.h"

/* state: what sets it, and what is so in one state alone. A statement that names that column, whatever the value, runs the
 * trigger that counts states, and for that SQLite keeps a copy of each page that it changes; one that names remind_at
 * looks into its index, where only rows that need reauth are. */
#define SET_SECRET_TEXT(state)                                                         \
    "UPDATE connection SET prior_secret = secret, prior_grant = \"grant\","            \
    " generation = ?2," state " issued_at = ?4, expires_at = ?5, due_at = ?6,"         \
    " next_refresh_at = ?7, refresh_expires_at = ?8, updated_at = ?9, kind = ?10,"     \
    " scopes = coalesce(?11, scopes), secret = ?12, \"grant\" = ?13,"                  \
    " can_refresh = ?14, last_refresh_at = coalesce(?15, last_refresh_at),"            \
    " last_outcome = iif(?15 IS NULL, last_outcome, 0), failures = 0, is_probed = 0,"  \
    " last_error = iif(?15 IS NULL, last_error, NULL),"                                \
    " reason = NULL, lost_at = NULL,"                                                  \
    " prior_state = iif(?3 IN (5, 6), 2, prior_state),"                                \
    " suspect = iif(?15 IS NULL, 0, suspect),"                                         \
    " cut_short = iif(?15 IS NULL OR invalid_generation <> generation, 0, cut_short)," \
    " metadata = coalesce(?16, metadata)"                                              \
    " WHERE rowid = ?1"

/* What struct loaded has, in its order. */
#define LOAD_TEXT                                                                            \
    "SELECT rowid, owner, provider, account, tags, state, prior_state, generation, due_at,"  \
    " is_probed, can_refresh, expires_at, invalid_generation, issued_at, cut_short, suspect" \
    " FROM connection "

const char *const apply_texts[] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [LOAD] = LOAD_TEXT "WHERE id = ?1",
    [LOAD_PLACED] = LOAD_TEXT "WHERE rowid = ?2 AND id = ?1",
    [INSERT] = "INSERT INTO connection (id, owner, provider, account, state, prior_state,"
               " generation, created_at, updated_at, metadata, tags)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, ?6, ?6, ?7, ?8)",
    [SET_SECRET] = SET_SECRET_TEXT(" state = ?3, remind_at = NULL,"),
    [SET_SECRET_ALONE] = SET_SECRET_TEXT(""),
    [SET_DATA] = "UPDATE connection SET metadata = coalesce(?2, metadata),"
                 " tags = coalesce(?3, tags), updated_at = ?4 WHERE rowid = ?1",
    [SET_STATE] = "UPDATE connection SET state = ?2, prior_state = ?3, next_refresh_at = ?4,"
                  " updated_at = ?5, remind_at = ?6, reason = coalesce(?7,"
                  /* One that was held for a hand-over is that no longer once it is let go. */
                  " iif(reason = 'hand_over' AND ?2 NOT IN (5, 6), NULL, reason))"
                  " WHERE rowid = ?1",
    [SET_INVALID] = "UPDATE connection SET invalid_generation = generation,"
                    " next_refresh_at = ?2, updated_at = ?3, cut_short = ?4, suspect = ?5"
                    " WHERE rowid = ?1",
    [SET_SUSPECT] = "UPDATE connection SET suspect = ?2 WHERE rowid = ?1",
    [SET_PLANNED] = "UPDATE connection SET next_refresh_at = ?2 WHERE rowid = ?1 AND can_refresh",
    /* What was issued in the future is due; so is what was to be refreshed at once, which alone is planned for another
     * time than its secret is due at; a wait behind a failure is never so long. */
    [REPLAN] = "UPDATE connection SET next_refresh_at = ?2 WHERE provider = ?1"
               " AND state IN (2, 3) AND can_refresh AND next_refresh_at > ?2"
               " AND (issued_at > ?2 + ?3 OR iif(failures > 0, next_refresh_at > ?2 + ?4,"
               " next_refresh_at IS NOT due_at))",
    [REPLAN_REMINDERS] = "UPDATE connection SET remind_at = ?2"
                         " WHERE provider = ?1 AND remind_at > ?2",
    [SET_FAILED] = "UPDATE connection SET state = ?2, next_refresh_at = ?3, updated_at = ?4,"
                   " last_refresh_at = ?4, last_outcome = ?5, failures = failures + 1,"
                   " is_probed = ?6, last_error = ?7, reason = coalesce(?8, reason),"
                   " remind_at = ?9, prior_state = ?10, suspect = ?11,"
                   " lost_at = coalesce(lost_at, ?12) WHERE rowid = ?1",
    [SET_REMINDED] = "UPDATE connection SET remind_at = ?2 WHERE rowid = ?1",
    [SET_PROBED] = "UPDATE connection SET is_probed = 1, next_refresh_at = NULL WHERE rowid = ?1",
    [DROP] = "DELETE FROM connection WHERE rowid = ?1",
    [INTENT_ADD] = "INSERT INTO intent (connection, provider, generation, token_hash, node, at_ms)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    [INTENT_REPLY] = "UPDATE intent SET reply = ?3 WHERE connection = ?1 AND generation = ?2",
    [INTENT_DROP] = "DELETE FROM intent WHERE connection = ?1 AND generation = ?2",
    [INTENT_DROP_ALL] = "DELETE FROM intent WHERE connection = ?1",
    [EVENT_ADD] = "INSERT INTO event (seq, at_ms, type, owner, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    /* From the oldest on, for the log has no gap, and the newest stays whatever its age: the next number comes after
     * it. A clock that was set back since has dated some in the future: such ones go with an old one behind them, as
     * they are older than that. No further is looked than the first thousand of the others, however many there are. */
    [EVENT_TRIM] = "WITH dated (seq, at_ms) AS MATERIALIZED"
                   " (SELECT seq, at_ms FROM event WHERE at_ms <= ?3 ORDER BY seq LIMIT ?2)"
                   " DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq <="
                   " (SELECT max(seq) FROM dated WHERE at_ms < ?1 AND seq <"
                   " coalesce((SELECT min(seq) FROM dated WHERE at_ms >= ?1), 9223372036854775807))"
                   " ORDER BY seq LIMIT ?2) AND seq < (SELECT max(seq) FROM event)",
    [CONSENT_ADD] = "INSERT INTO consent (digest, provider, is_device, expires_at, sealed)"
                    " VALUES (?1, ?2, ?3, ?4, ?5)",
    [CONSENT_TRIM] = "DELETE FROM consent WHERE expires_at <= ?1",
    [CONSENT_TAKE] = "DELETE FROM consent WHERE digest = ?1 AND provider = ?2"
                     " RETURNING sealed, expires_at",
    [INCIDENT_ADD] = "INSERT INTO incident (provider, kind, at_ms) VALUES (?1, ?2, ?3)"
                     " ON CONFLICT DO NOTHING",
    [INCIDENT_DROP] = "DELETE FROM incident WHERE provider = ?1 AND kind = ?2",
    [CONSENT_LOOK] = "SELECT expires_at FROM consent WHERE digest = ?1 AND provider = ?2",
    [CONSENT_REFUSED] = "UPDATE connection SET last_error = ?2, updated_at = ?3,"
                        " reason = iif(generation = 0, reason, 'consent_refused'),"
                        " last_outcome = iif(generation = 0, ?4, last_outcome),"
                        " last_refresh_at = iif(generation = 0, ?3, last_refresh_at) WHERE id = ?1",
    [SWEEP_COUNT] = "SELECT count(*) FROM sweep WHERE ended_at IS NULL",
    [HELD_FIND] = "SELECT 1 FROM connection WHERE id = ?1 AND state = 6 AND reason = 'hand_over'",
    [SWEEP_FIND] = "SELECT 1 FROM sweep WHERE id = ?1",
    [SWEEP_ADD] = "INSERT INTO sweep (id, action, at_provider, owner, provider, tag, client,"
                  " rate_per_s, begun_at, ended_at, principal, vended_since)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [SWEEP_END] = "UPDATE sweep SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL AND NOT EXISTS"
                  " (SELECT 1 FROM sweep_part WHERE sweep = ?1 AND ended_at IS NULL)",
    [SWEEP_CANCEL] = "UPDATE sweep SET ended_at = ?2, is_cancelled = 1"
                     " WHERE id = ?1 AND ended_at IS NULL",
    [SWEEP_CANCEL_PARTS] = "UPDATE sweep_part SET ended_at = ?2"
                           " WHERE sweep = ?1 AND ended_at IS NULL",
    [SWEEP_TRIM] = "DELETE FROM sweep WHERE ended_at < ?1"
                   " AND NOT EXISTS (SELECT 1 FROM receipt WHERE sweep = id)",
    [SWEEP_TRIM_PARTS] = "DELETE FROM sweep_part"
                         " WHERE NOT EXISTS (SELECT 1 FROM sweep WHERE id = sweep_part.sweep)",
    [SWEEP_PART_ADD] = "INSERT INTO sweep_part (sweep, provider, count) VALUES (?1, ?2, ?3)",
    [SWEEP_PART_ADVANCE] = "UPDATE sweep_part SET after_owner = ?5, after_account = ?6,"
                           " is_walked = ?7 WHERE sweep = ?1 AND provider = ?2"
                           " AND after_owner IS ?3 AND after_account IS ?4"
                           " AND NOT is_walked AND ended_at IS NULL",
    [SWEEP_PART_TALLY] = "UPDATE sweep_part SET done = done + ?3, changed = changed + ?4,"
                         " asking = asking + ?5 WHERE sweep = ?1 AND provider = ?2",
    [SWEEP_PART_END] = "UPDATE sweep_part SET ended_at = ?3 WHERE sweep = ?1 AND provider = ?2"
                       " AND is_walked AND asking = 0 AND ended_at IS NULL",
    [RECEIPT_ADD] = "INSERT INTO receipt (sweep, connection, owner, provider, account, from_state,"
                    " to_state, at_ms, is_asking) SELECT ?1, id, owner, provider, account, state,"
                    " state, ?3, ?4 FROM connection WHERE id = ?2 ON CONFLICT DO NOTHING",
    [RECEIPT_MOVED] = "UPDATE receipt SET to_state = ?3 WHERE sweep = ?1 AND connection = ?2",
    [RECEIPT_SAID] = "UPDATE receipt SET at_provider = ?3, is_asking = 0"
                     " WHERE sweep = ?1 AND connection = ?2 AND is_asking",
    [RECEIPT_TRIM] = "DELETE FROM receipt WHERE (sweep, connection) IN"
                     " (SELECT r.sweep, r.connection FROM sweep JOIN receipt AS r ON r.sweep = id"
                     " WHERE ended_at < ?1 LIMIT ?2)",
    [PAUSE_ADD] = "INSERT INTO pause (provider, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [PRINCIPAL_ADD] = "INSERT INTO principal (name, definition, updated_at) VALUES (?1, ?2, ?3)"
                      " ON CONFLICT DO NOTHING",
    [PRINCIPAL_SET] = "UPDATE principal SET definition = ?2, updated_at = ?3 WHERE name = ?1",
    [PRINCIPAL_DROP] = "DELETE FROM principal WHERE name = ?1",
    [PAUSE_DROP] = "DELETE FROM pause WHERE provider = ?1",
    [AUDIT_ADD] =
        "INSERT INTO audit (seq, at_ms, last_ms, count, kind, generation, link, principal,"
        " peer, op, purpose, owner, connection, provider, account, outcome, detail)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
        " ?17)",
    [AUDIT_SEAL] = "INSERT INTO audit_ends (one, anchor_seq, anchor, seq, link, key_id, seal,"
                   " journal_nr, journal) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                   " ON CONFLICT (one) DO UPDATE SET anchor_seq = ?1, anchor = ?2, seq = ?3,"
                   " link = ?4, key_id = ?5, seal = ?6, journal_nr = ?7, journal = ?8",
    [AUDIT_LOAD] = "SELECT anchor_seq, anchor, seq, link, key_id, seal, journal_nr, journal"
                   " FROM audit_ends",
    [AUDIT_LAST] = "SELECT seq, link FROM audit ORDER BY seq DESC LIMIT 1",
    [AUDIT_OLD] = "SELECT seq, link, last_ms FROM audit ORDER BY seq LIMIT ?1",
    [AUDIT_DROP] = "DELETE FROM audit WHERE seq <= ?1",
    [JOURNAL_ADD] = "INSERT INTO audit_journal (nr, entry, link) VALUES (?1, ?2, ?3)",
    [JOURNAL_ALL] = "SELECT nr, entry, link FROM audit_journal ORDER BY nr",
    [JOURNAL_DROP] = "DELETE FROM audit_journal",
    [LAST_SEQ] = "SELECT coalesce(max(seq), 0) FROM event",
    [SEALED_SET_CONNECTION] = "UPDATE connection SET secret = coalesce(?3, secret),"
                              " \"grant\" = coalesce(?5, \"grant\"),"
                              " prior_secret = coalesce(?7, prior_secret),"
                              " prior_grant = coalesce(?9, prior_grant)"
                              " WHERE id = ?1 AND secret IS ?2 AND \"grant\" IS ?4"
                              " AND prior_secret IS ?6 AND prior_grant IS ?8",
    [SEALED_SET_INTENT] = "UPDATE intent SET reply = ?4"
                          " WHERE connection = ?1 AND generation = ?2 AND reply IS ?3",
    [SEALED_SET_CONSENT] = "UPDATE consent SET sealed = ?3 WHERE digest = ?1 AND sealed IS ?2",
    /* Another generation: what a refresh that is under way brings finds nothing to be written to. */
    [SEALED_DROP] = "UPDATE connection SET generation = generation + 1, secret = NULL,"
                    " \"grant\" = NULL, prior_secret = NULL, prior_grant = NULL, can_refresh = 0"
                    " WHERE id = ?1",
    [APPLY_STATEMENT_COUNT] = NULL,
};
