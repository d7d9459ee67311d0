/* What stands behind a call: made for one call of one function of a module, gone when it returns.
 * Thread: the call's. */
#ifndef CONNECTOR_HOST_H
#define CONNECTOR_HOST_H

#include "connector/call.h"
#include "connector/document.h"

#define HOST_MADE_MAX 256

struct host {
    const struct call *call;
    struct call_request *request; /* while a request is built */
    struct call_outcome *outcome; /* while a reply is read */
    const struct call_reply *reply;
    struct document *document; /* of the reply's body, once it is asked for */
    const struct node *given;  /* what the connection gave in place of settings; NULL: nothing */
    size_t made_count;
    struct buf small;    /* short texts that services made, in memory that is taken once; secret */
    struct buf json;     /* members of a JSON body that is being built; secret */
    struct buf fragment; /* of the URL that is being built */
    struct call_values
        *locals;         /* what a module captured for {placeholders} of this request; or NULL */
    struct buf *nonce;   /* {nonce}, once it is asked for */
    bool is_secret_shut; /* it was asked for and does not open */
    int error;
    struct buf
        made[HOST_MADE_MAX]; /* texts that services made; secret. Only made_count are anything */
};

/* Begins one about a call; the ten kilobytes of `made` stay as they are. */
void host_init(struct host *host, const struct call *about);

/* The functions of a call and of a response, for a host that lives longer than they are used. */
struct bursar_call host_call(struct host *host);
struct bursar_response host_response(struct host *host);
void host_fini(struct host *host);

/* Room for a short text of the call's life and the NUL behind it; NULL where it is too long, or no more is left. */
char *host_small(struct host *host, size_t len);
/* A buffer of the call's life; NULL where there are too many. */
struct buf *host_make(struct host *host, size_t max);

/* request.c */
void host_emit_request(const struct bursar_call *call, enum bursar_emit part, const char *name,
                       const char *value, size_t value_len);
/* After the last emit: what had to wait for all of it. 0, or what is wrong with the request. */
int host_finish_request(struct host *host);

/* template.c */
int host_expand(struct host *host, struct text text, bool is_url, struct buf *out);

/* host.c: where templates look */
struct text host_setting(struct host *host, const char *name);
struct text host_secret(struct host *host, const char *name);
struct text host_metadata(struct host *host, const char *name);

#endif
