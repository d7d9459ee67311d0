#include "reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "body.h"

struct buf reading_body, reading_error;

int reading_set_up(void **state)
{
    *state = job_reader_new();
    reading_error = buf_make(1000);
    return *state ? 0 : -1;
}

int reading_tear_down(void **state)
{
    job_reader_free(*state);
    job_reader_free(NULL);
    buf_free(&reading_body);
    buf_free(&reading_error);
    return 0;
}

int read_job(struct job_reader *reader, const char *json, struct job *job)
{
    buf_free(&reading_body);
    reading_body = body_of(json);
    buf_clear(&reading_error);
    int result = job_read(reader, buf_text(&reading_body), job, &reading_error);
    assert_int_equal(result == 0, reading_error.len == 0);
    return result;
}

struct job read_right(struct job_reader *reader, const char *json)
{
    struct job job;
    if (read_job(reader, json, &job) != 0)
        fail_msg("%s: %s", json, (char *)reading_error.data);
    return job;
}

void expect_refusal(struct job_reader *reader, const char *json, int result, const char *message)
{
    struct job job;
    if (read_job(reader, json, &job) != result || !text_is(buf_text(&reading_error), message))
        fail_msg("%s: %s", json, reading_error.data ? (char *)reading_error.data : "taken");
}
