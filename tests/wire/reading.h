/* Jobs for tests, written as JSON and read.
 * Thread: the test's. */
#ifndef TESTS_WIRE_READING_H
#define TESTS_WIRE_READING_H

#include "base/buf.h"
#include "wire/job.h"

/* Of a cmocka group: *state is a job reader. */
int reading_set_up(void **state);
int reading_tear_down(void **state);

/* The last job that was read, and what it is refused with; empty: nothing. */
extern struct buf reading_body, reading_error;

/* Gives what job_read() gives. The job borrows until the next one is read. */
int read_job(struct job_reader *reader, const char *json, struct job *job);
/* The test fails where the job is refused. */
struct job read_right(struct job_reader *reader, const char *json);
/* The test fails where the job is refused with anything else. */
void expect_refusal(struct job_reader *reader, const char *json, int result, const char *message);

#endif
