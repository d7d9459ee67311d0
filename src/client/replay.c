#include "client/replay.h"

#include "base/clock.h"
#include "client/failure.h"

enum { PAGE_EVENTS = 500, QUESTION_DEADLINE_MS = 5000, RETRY_MS = 1000 };

void replay_begin(struct replay *replay, uint64_t until)
{
    if (!replay->is_on || until > replay->until)
        replay->until = until;
    replay->is_on = true;
}

void replay_end(struct replay *replay)
{
    reply_end(&replay->page);
    *replay = (struct replay){.owner = replay->owner};
}

static int fetch(struct replay *replay, struct bursar_client *client, uint64_t since,
                 struct bursar_failure *out_failure)
{
    struct call call;
    reply_end(&replay->page);
    replay->next = 0;
    call_begin(&call, client, "events.since",
               client->deadline_ms < QUESTION_DEADLINE_MS ? client->deadline_ms
                                                          : QUESTION_DEADLINE_MS);
    call.is_repeatable = true;
    pack_uint(&call.map, "seq", since);
    pack_uint(&call.map, "limit", PAGE_EVENTS);
    if (replay->owner)
        pack_string(&call.map, "owner", replay->owner);
    int error = call_run(&call, &replay->page, out_failure);
    call_end(&call);
    if (error == 0 && node_type(node_get(replay->page.root, "events")) != NODE_ARRAY)
        error = failure_say(out_failure, BURSAR_E_BAD_REPLY, "events.since answered no events");
    if (error != 0)
        reply_end(&replay->page);
    replay->not_before_ms = error != 0 ? clock_boot_ms() + RETRY_MS : 0;
    return error;
}

/* The page's next event that was not looked at yet; NULL behind the last one. */
static const struct node *next_of_page(struct replay *replay, struct sequence *sequence)
{
    const struct node *events = node_get(replay->page.root, "events");
    while (replay->next < node_count(events)) {
        const struct node *event = node_item(events, replay->next++);
        uint64_t seq = node_uint(node_get(event, "seq"));
        if (sequence->has_looked && seq <= sequence->looked)
            continue;
        sequence_looked(sequence, seq);
        return event;
    }
    return NULL;
}

/* The page is at its end: is the replay? An empty page ends it, whatever was promised. */
static bool is_done(struct replay *replay, struct sequence *sequence)
{
    bool was_empty = node_count(node_get(replay->page.root, "events")) == 0;
    uint64_t before = sequence->looked;
    sequence_looked(sequence, node_uint(node_get(replay->page.root, "next_seq")));
    bool is_stuck = was_empty && sequence->looked == before;
    if (is_stuck && replay->until != REPLAY_TO_THE_END)
        sequence_looked(sequence, replay->until); /* the log does not have it any more */
    return is_stuck || sequence->looked >= replay->until;
}

int replay_next(struct replay *replay, struct bursar_client *client, struct sequence *sequence,
                const struct node **out_event, struct bursar_failure *out_failure)
{
    *out_event = NULL;
    while (replay->is_on) {
        *out_event = replay->page.root ? next_of_page(replay, sequence) : NULL;
        if (*out_event)
            return 0;
        if (replay->page.root && is_done(replay, sequence)) {
            replay_end(replay);
            return 0;
        }
        int error = fetch(replay, client, sequence->looked, out_failure);
        if (error != 0)
            return error;
    }
    return 0;
}
