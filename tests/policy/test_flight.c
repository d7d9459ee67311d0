#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/flight.h"

/* Every step that there is; any other input in a phase is a mistake of the program. */
static const struct {
    enum flight_phase phase;
    enum flight_input input;
    enum flight_phase next;
    enum flight_action action;
} steps[] = {
    /* From the start to an answer: nothing is sent before the intent, nothing is read before the
     * reply is kept, nobody is told before the conclusion is committed. */
    {FLIGHT_IDLE, FLIGHT_ON_START, FLIGHT_TURN, FLIGHT_QUEUE},
    {FLIGHT_TURN, FLIGHT_ON_TURN, FLIGHT_INTENT, FLIGHT_COMMIT_INTENT},
    {FLIGHT_INTENT, FLIGHT_ON_COMMITTED, FLIGHT_SENT, FLIGHT_SEND},
    {FLIGHT_SENT, FLIGHT_ON_REPLIED, FLIGHT_REPLY, FLIGHT_COMMIT_REPLY},
    {FLIGHT_REPLY, FLIGHT_ON_COMMITTED, FLIGHT_END, FLIGHT_CONCLUDE},
    {FLIGHT_END, FLIGHT_ON_COMMITTED, FLIGHT_DONE, FLIGHT_ANSWER},
    /* One more step of the same exchange. */
    {FLIGHT_END, FLIGHT_ON_NEXT, FLIGHT_SENT, FLIGHT_SEND},
    /* No request, or no reply to it. */
    {FLIGHT_INTENT, FLIGHT_ON_NO_REPLY, FLIGHT_END, FLIGHT_CONCLUDE},
    {FLIGHT_SENT, FLIGHT_ON_NO_REPLY, FLIGHT_END, FLIGHT_CONCLUDE},
    /* What an earlier process left. */
    {FLIGHT_IDLE, FLIGHT_ON_RESUME, FLIGHT_END, FLIGHT_CONCLUDE},
    {FLIGHT_IDLE, FLIGHT_ON_SETTLE, FLIGHT_END, FLIGHT_CONCLUDE},
    /* The row is another one now. */
    {FLIGHT_BACKOFF, FLIGHT_ON_CONFLICT, FLIGHT_DONE, FLIGHT_LOOK_AGAIN},
    {FLIGHT_TURN, FLIGHT_ON_CONFLICT, FLIGHT_DONE, FLIGHT_LOOK_AGAIN},
    {FLIGHT_INTENT, FLIGHT_ON_CONFLICT, FLIGHT_DONE, FLIGHT_LOOK_AGAIN},
    {FLIGHT_REPLY, FLIGHT_ON_CONFLICT, FLIGHT_DONE, FLIGHT_LOOK_AGAIN},
    {FLIGHT_END, FLIGHT_ON_CONFLICT, FLIGHT_DONE, FLIGHT_LOOK_AGAIN},
    /* The store is down: before the request it ends, behind it the commit is tried until it works. */
    {FLIGHT_INTENT, FLIGHT_ON_STORE_DOWN, FLIGHT_DONE, FLIGHT_GIVE_UP},
    {FLIGHT_REPLY, FLIGHT_ON_STORE_DOWN, FLIGHT_REPLY, FLIGHT_COMMIT_LATER},
    {FLIGHT_REPLY, FLIGHT_ON_TIMER, FLIGHT_REPLY, FLIGHT_COMMIT_AGAIN},
    {FLIGHT_END, FLIGHT_ON_STORE_DOWN, FLIGHT_END, FLIGHT_COMMIT_LATER},
    {FLIGHT_END, FLIGHT_ON_TIMER, FLIGHT_END, FLIGHT_COMMIT_AGAIN},
    /* A further attempt, because somebody waits for it. */
    {FLIGHT_IDLE, FLIGHT_ON_AGAIN, FLIGHT_BACKOFF, FLIGHT_WAIT},
    {FLIGHT_DONE, FLIGHT_ON_AGAIN, FLIGHT_BACKOFF, FLIGHT_WAIT},
    {FLIGHT_BACKOFF, FLIGHT_ON_TIMER, FLIGHT_TURN, FLIGHT_QUEUE},
};
enum { STEPS = sizeof steps / sizeof steps[0] };

static int find(enum flight_phase phase, enum flight_input input)
{
    for (int i = 0; i < STEPS; i++) {
        if (steps[i].phase == phase && steps[i].input == input)
            return i;
    }
    return -1;
}

/* Whether the call ends the process. */
static bool ends_process(enum flight_phase phase, enum flight_input input)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        flight_next(phase, input);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_every_step(void **state)
{
    (void)state;
    for (int phase = 0; phase < FLIGHT_PHASE_END; phase++) {
        for (int input = 0; input < FLIGHT_INPUT_END; input++) {
            int i = find((enum flight_phase)phase, (enum flight_input)input);
            if (i < 0) {
                if (!ends_process((enum flight_phase)phase, (enum flight_input)input))
                    fail_msg("input %d in phase %d", input, phase);
                continue;
            }
            struct flight_step step = flight_next(steps[i].phase, steps[i].input);
            if (step.phase != steps[i].next || step.action != steps[i].action)
                fail_msg("input %d in phase %d", input, phase);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
