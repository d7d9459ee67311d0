/* In place of base/mailbox.c: one thread sends and takes, so a list is enough, and whoever reads is
 * called by the queue of events. */
#include "base/mailbox.h"

#include <stddef.h>

#include "world.h"

int mailbox_init(struct mailbox *box)
{
    atomic_init(&box->newest, NULL);
    box->event_fd = -1;
    return 0;
}

void mailbox_fini(struct mailbox *box)
{
    (void)box;
}

void mailbox_send(struct mailbox *box, struct mail *mail)
{
    mail->next = atomic_load_explicit(&box->newest, memory_order_relaxed);
    atomic_store_explicit(&box->newest, mail, memory_order_relaxed);
    process_wake_box(world_current(), box);
}

struct mail *mailbox_take(struct mailbox *box)
{
    struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    struct mail *oldest = NULL;
    atomic_store_explicit(&box->newest, NULL, memory_order_relaxed);
    while (newest) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

bool mailbox_is_empty(const struct mailbox *box)
{
    return !atomic_load_explicit(&box->newest, memory_order_relaxed);
}

int mailbox_fd(const struct mailbox *box)
{
    return box->event_fd;
}

/* Only what begins a shared credential waits so; there is none here. */
void mailbox_wait(const struct mailbox *box, int timeout_ms)
{
    (void)box;
    (void)timeout_ms;
}
