#include "base/mailbox.h"

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bursar/error.h>

int mailbox_init(struct mailbox *box)
{
    atomic_init(&box->newest, NULL);
    box->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return box->event_fd < 0 ? BURSAR_E_IO : 0;
}

void mailbox_fini(struct mailbox *box)
{
    if (box->event_fd >= 0)
        close(box->event_fd);
    box->event_fd = -1;
}

void mailbox_send(struct mailbox *box, struct mail *mail)
{
    mailbox_send_all(box, mail, mail);
}

void mailbox_send_all(struct mailbox *box, struct mail *newest, struct mail *oldest)
{
    struct mail *before = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do {
        oldest->next = before;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &before, newest,
                                                    memory_order_release, memory_order_relaxed));
    if (!before) {
        uint64_t one = 1;
        ssize_t written = write(box->event_fd, &one, sizeof one);
        (void)written; /* fails only where the counter is full, and then it is readable */
    }
}

struct mail *mailbox_take(struct mailbox *box)
{
    uint64_t count;
    ssize_t got = read(box->event_fd, &count, sizeof count);
    (void)got; /* EAGAIN: nothing was signalled */
    struct mail *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
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
    return !atomic_load_explicit(&box->newest, memory_order_acquire);
}

int mailbox_fd(const struct mailbox *box)
{
    return box->event_fd;
}

void mailbox_wait(const struct mailbox *box, int timeout_ms)
{
    struct pollfd fd = {.fd = box->event_fd, .events = POLLIN};
    poll(&fd, 1, timeout_ms);
}
