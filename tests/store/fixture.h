/* A store in a folder of its own, and changes for it, for tests.
 * Thread: the test's; a reader that a thread opens is that thread's. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"

#define NOW_S INT64_C(1800000000)
#define NOW_MS (NOW_S * 1000 + 7)

/* All-zero but for the folder while nothing is open. */
struct fixture {
    char folder[80], path[96];
    const struct store_engine *engine;
    struct store_writer *writer;
    struct store_reader *reader;
};

/* Makes the folder and opens writer and reader; for cmocka's set-up, *state is the fixture. */
int fixture_set_up(void **state);
/* Closes, and checks that the file is whole and `seq` has no gap. */
int fixture_tear_down(void **state);
/* The same in steps, for tests that open more than once; each ends the test where it fails. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
void fixture_check(const struct fixture *fixture);

/* A number that SQL asks for, by a connection of its own; with no row INT64_MIN. */
int64_t fixture_sql(const struct fixture *fixture, const char *sql);

/* A change of a connection that is the owner "acme"'s at NOW_MS. */
struct store_change change_of(enum change_type type, const char *connection);
/* A secret for the generation behind `generation`; it expires an hour from now, is due five minutes
 * before, and can be refreshed. A put makes the row where generation is 0. */
struct store_change change_put(const char *connection, const char *account, uint64_t generation);
struct store_change change_refreshed(const char *connection, uint64_t generation);
struct store_change change_intent(const char *connection, uint64_t generation);
struct store_change change_move(const char *connection, enum conn_move move);
/* The end of an attempt; the planner tries again in a minute. */
struct store_change change_failed(const char *connection, uint64_t generation, enum conn_move move,
                                  enum verdict_class outcome);

/* Applies one, and gives its result; the batch itself must succeed. */
int apply_one(struct fixture *fixture, struct store_change *change);
/* Applies one that must succeed, and that makes so many events (0 or 1). */
void apply_right(struct fixture *fixture, struct store_change change, enum event_type event);
/* Applies one that must be refused, and leaves no trace. */
void apply_refused(struct fixture *fixture, struct store_change change, int result);

/* The row; the test ends where it is not there. conn_row_free() ends it. */
struct conn_row row_of(struct fixture *fixture, const char *connection);
/* Type of the newest event in the log. */
enum event_type newest_event(struct fixture *fixture);

#endif
