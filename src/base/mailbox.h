/* How threads pass owned messages: many senders, one reader, no lock.
 * Thread: mailbox_send and mailbox_send_all any; all else its reader.
 *
 * The reader waits on a file descriptor among its others and takes everything at once, in the order
 * in which each sender sent. A sender wakes the reader only where the box was empty. */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

/* First member of every message. */
struct mail {
    struct mail *next;
};

struct mailbox {
    _Atomic(struct mail *) newest;
    int event_fd;
};

/* 0 or BURSAR_E_IO. */
int mailbox_init(struct mailbox *box);
/* Messages still inside stay their senders' loss: drain first. */
void mailbox_fini(struct mailbox *box);

/* Takes the message. */
void mailbox_send(struct mailbox *box, struct mail *mail);
/* Takes several, a list that begins with the newest and ends with the oldest: one waking for all. */
void mailbox_send_all(struct mailbox *box, struct mail *newest, struct mail *oldest);
/* Gives all messages as a list, oldest first; NULL where there is none. Rearms the descriptor. */
struct mail *mailbox_take(struct mailbox *box);
/* Readable while something may be inside. */
int mailbox_fd(const struct mailbox *box);
/* Whether nothing is inside, for who has stopped taking. */
bool mailbox_is_empty(const struct mailbox *box);
/* Waits until something may be inside; timeout_ms < 0: for ever. */
void mailbox_wait(const struct mailbox *box, int timeout_ms);

#endif
