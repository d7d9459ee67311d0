#include "store/sqlite/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <bursar/error.h>

#include "store/sqlite/apply.h"
#include "store/sqlite/db.h"

enum {
    EVENTS_MAX_BYTES = 64 << 20, /* of one batch */
    ROW_TEXT_MAX = 1 << 20,
    /* A refresh is begun only with this much room: the raw reply, the new generation and the
     * log that they go through. */
    RESERVE_BYTES = 4 << 20
};

static int apply_all(struct store_writer *writer, struct store_batch *batch)
{
    bool has_room = true, is_room_known = false;
    for (size_t i = 0; i < batch->count; i++) {
        struct store_change *change = batch->changes[i];
        if (change->type == CHANGE_INTENT && !is_room_known) {
            has_room = writer_can_write(writer) == 0;
            is_room_known = true;
        }
        if (change->type == CHANGE_INTENT && !has_room) {
            change->result = BURSAR_E_STORE_UNAVAILABLE;
            continue;
        }
        change->result = apply_change(writer, change);
        if (change->result == BURSAR_E_STORE_UNAVAILABLE)
            return BURSAR_E_STORE_UNAVAILABLE;
    }
    return 0;
}

static void place_events(struct store_writer *writer, struct store_batch *batch)
{
    const char *at = (const char *)writer->event_text.data;
    for (size_t i = 0; i < writer->event_count; i++) {
        struct store_event *event = &writer->events[i];
        event->topic.data = at;
        event->body.data = at + event->topic.len;
        at += event->topic.len + event->body.len;
    }
    batch->events = writer->events;
    batch->event_count = writer->event_count;
}

int writer_apply(struct store_writer *writer, struct store_batch *batch)
{
    uint64_t last_seq = writer->last_seq;
    struct chain_ends ends = writer->audit.ends;
    batch->event_count = writer->event_count = 0;
    buf_clear(&writer->event_text);
    int result = db_run(&writer->db, db_statement(&writer->db, BEGIN));
    if (result == 0)
        result = apply_all(writer, batch);
    if (result == 0)
        result = apply_audit_seal(writer);
    if (result == 0)
        result = db_run(&writer->db, db_statement(&writer->db, COMMIT));
    if (result == 0) {
        place_events(writer, batch);
        return 0;
    }
    if (!sqlite3_get_autocommit(writer->db.handle))
        db_run(&writer->db, db_statement(&writer->db, ROLLBACK));
    writer->last_seq = last_seq;
    writer->audit.ends = ends;
    for (size_t i = 0; i < batch->count; i++) {
        batch->changes[i]->result = BURSAR_E_STORE_UNAVAILABLE;
        batch->changes[i]->event_seq = 0;
    }
    return result;
}

int writer_can_write(struct store_writer *writer)
{
    struct statvfs status;
    if (statvfs(writer->path, &status) < 0 || (status.f_flag & ST_RDONLY))
        return BURSAR_E_STORE_UNAVAILABLE;
    uint64_t room = (uint64_t)status.f_bavail * status.f_frsize;
    return room >= RESERVE_BYTES ? 0 : BURSAR_E_STORE_UNAVAILABLE;
}

int writer_tidy(struct store_writer *writer)
{
    return db_exec(&writer->db, "PRAGMA wal_checkpoint(PASSIVE)");
}

/* One writer a file, whoever else opens it: SQLite alone would let two daemons take turns. */
static int take_lock(struct store_writer *writer, struct buf *error)
{
    char *path = NULL;
    if (asprintf(&path, "%s.lock", writer->path) < 0)
        return BURSAR_E_NOMEM;
    int result = 0;
    writer->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (writer->lock_fd < 0) {
        buf_printf(error, "%s: cannot be opened: %s", path, strerror(errno));
        result = BURSAR_E_STORE_UNAVAILABLE;
    } else if (flock(writer->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        buf_printf(error, "%s: another bursard has this store open", writer->path);
        result = BURSAR_E_CONFLICT;
    }
    free(path);
    return result;
}

static int read_last_seq(struct store_writer *writer)
{
    sqlite3_stmt *statement = db_statement(&writer->db, LAST_SEQ);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        writer->last_seq = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code == SQLITE_ROW ? 0 : db_failed(&writer->db, "last seq");
}

int writer_open(const char *path, struct store_writer **out_writer, struct buf *error)
{
    struct store_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return BURSAR_E_NOMEM;
    writer->lock_fd = -1;
    writer->text = buf_make(ROW_TEXT_MAX);
    writer->event_text = buf_make(EVENTS_MAX_BYTES);
    writer->path = strdup(path);
    int result = writer->path ? take_lock(writer, error) : BURSAR_E_NOMEM;
    if (result == 0)
        result = db_open(&writer->db, path, true, apply_texts, error);
    if (result == 0)
        result = read_last_seq(writer);
    if (result < 0)
        writer_close(writer);
    else
        *out_writer = writer;
    return result;
}

void writer_close(struct store_writer *writer)
{
    if (!writer)
        return;
    db_close(&writer->db);
    if (writer->lock_fd >= 0)
        close(writer->lock_fd);
    free(writer->path);
    free(writer->events);
    buf_free(&writer->text);
    buf_free(&writer->audit.scratch);
    buf_free(&writer->audit.detail);
    buf_free(&writer->audit.entry);
    buf_free(&writer->event_text);
    free(writer);
}
