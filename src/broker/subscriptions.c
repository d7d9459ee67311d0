#include "broker/subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "broker/memory.h"

/* How many one principal has. */
struct tally {
    size_t count;
    UT_hash_handle hh;
    char name[];
};

/* One peer that has a topic. */
struct holder {
    struct holder *prev, *next;
    struct tally *tally;
    char peer[PEER_MAX];
};

struct topic {
    struct holder *holders;
    size_t len;
    UT_hash_handle hh;
    char text[];
};

struct subscriptions {
    struct topic *topics;
    struct tally *tallies;
};

struct subscriptions *subscriptions_new(void)
{
    return memory_new(sizeof(struct subscriptions));
}

static struct tally *find_tally(const struct subscriptions *self, const char *name)
{
    struct tally *tally = NULL;
    HASH_FIND(hh, self->tallies, name, strlen(name), tally);
    return tally;
}

static struct tally *take_tally(struct subscriptions *self, const char *name)
{
    struct tally *tally = find_tally(self, name);
    size_t len = strlen(name);
    if (!tally) {
        tally = memory_new(sizeof *tally + len + 1);
        memcpy(tally->name, name, len);
        HASH_ADD_KEYPTR(hh, self->tallies, tally->name, len, tally);
    }
    tally->count++;
    return tally;
}

static void drop_tally(struct subscriptions *self, struct tally *tally)
{
    if (--tally->count > 0)
        return;
    HASH_DEL(self->tallies, tally);
    free(tally);
}

static struct topic *find_topic(const struct subscriptions *self, struct text text)
{
    struct topic *topic = NULL;
    HASH_FIND(hh, self->topics, text.data, text.len, topic);
    return topic;
}

static void drop_holder(struct subscriptions *self, struct topic *topic, struct holder *holder)
{
    DL_DELETE(topic->holders, holder);
    drop_tally(self, holder->tally);
    free(holder);
    if (topic->holders)
        return;
    HASH_DEL(self->topics, topic);
    free(topic);
}

void subscriptions_clear(struct subscriptions *self)
{
    while (self->topics)
        drop_holder(self, self->topics, self->topics->holders);
}

void subscriptions_free(struct subscriptions *self)
{
    if (self)
        subscriptions_clear(self);
    free(self);
}

void subscriptions_add(struct subscriptions *self, const char *peer,
                       const struct principal *principal, struct text text)
{
    struct topic *topic = find_topic(self, text);
    struct holder *holder = memory_new(sizeof *holder);
    if (!topic) {
        topic = memory_new(sizeof *topic + text.len + 1);
        topic->len = text.len;
        if (text.len > 0)
            memcpy(topic->text, text.data, text.len);
        HASH_ADD_KEYPTR(hh, self->topics, topic->text, topic->len, topic);
    }
    memccpy(holder->peer, peer, 0, sizeof holder->peer - 1);
    holder->tally = take_tally(self, principal->name);
    DL_APPEND(topic->holders, holder);
}

void subscriptions_remove(struct subscriptions *self, const char *peer, struct text text)
{
    struct topic *topic = find_topic(self, text);
    struct holder *holder = topic ? topic->holders : NULL;
    while (holder && peer && strcmp(holder->peer, peer) != 0)
        holder = holder->next;
    if (holder)
        drop_holder(self, topic, holder);
}

size_t subscriptions_count(const struct subscriptions *self, const struct principal *principal)
{
    const struct tally *tally = find_tally(self, principal->name);
    return tally ? tally->count : 0;
}
