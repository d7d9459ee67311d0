/* Asking the daemon for a command, and telling what came of it.
 * Thread: the program's only one. */
#ifndef CMD_CMD_REPLY_H
#define CMD_CMD_REPLY_H

#include <jansson.h>

#include <bursar/client.h>

#include "base/text.h"
#include "cmd/cmd.h"

/* Makes JSON values wipe what they held; once, before any is made. */
void cmd_reply_start(void);

/* What the daemon answered. */
struct cmd_reply {
    int status; /* an enum cmd_status; anything but CMD_DONE was printed */
    char *text; /* the reply as it came, NULL without one */
    json_t *root;
};

/* Sends the job (takes request) and waits for the reply. With --json the reply is printed. */
struct cmd_reply cmd_ask(const struct cmd_args *args, const char *op, json_t *request);
/* The same for a command that prints the reply in a way of its own: only failures are printed. */
struct cmd_reply cmd_ask_quietly(const struct cmd_args *args, const char *op, json_t *request);
void cmd_reply_free(struct cmd_reply *reply);

/* Of a list that comes in pages: what the reply has under the list's key. */
typedef void cmd_page_fn(const json_t *items, bool is_first);
/* Asks for one page after the other, with the `cursor` that came with the one before it (takes request), and has each
 * printed, but with --json. The exit status. */
int cmd_ask_pages(const struct cmd_args *args, const char *op, json_t *request, const char *key,
                  cmd_page_fn *print);

/* One job of many by the same client: 0 and the reply, which json_decref() ends, or the error with its
 * words; nothing is printed. */
int cmd_call(struct bursar_client *client, const char *op, const json_t *request, json_t **out_root,
             struct bursar_failure *out_failure);

/* Prints why something failed (with --json as a reply would say it) and gives the status. */
int cmd_fail(const struct cmd_args *args, const struct bursar_failure *failure);

struct bursar_client_options cmd_client_options(const struct cmd_args *args);

/* ---- what requests are made of -------------------------------------------------------------- */

/* A request with the owner and the connection of two words. NULL where the second is neither an id
 * nor PROVIDER[/ACCOUNT]; that was printed. */
json_t *cmd_request_for(const struct cmd_args *args, const char *owner, const char *connection);
/* Reads a whole number; false where it is none, which was printed. */
bool cmd_number(const struct cmd_args *args, const char *option, json_int_t max, json_int_t *out);

/* ---- output --------------------------------------------------------------------------------- */

/* Writes without leaving a copy in stdio's buffer. false where it cannot be written. */
bool cmd_write(struct text text);
/* The same into a file; name stands in the message. */
bool cmd_write_to(int fd, const char *name, struct text text);

#endif
