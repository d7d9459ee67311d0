/* What the query thread sends: changes to the store, and refusals. */
#include "base/clock.h"
#include "broker/dispatcher.h"
#include "broker/query_parts.h"
#include "broker/store_thread.h"

void query_write(struct query *self, struct write_message *message, write_done_fn *done,
                 void *context)
{
    message->reply_to = &self->inbox;
    message->done = done;
    message->context = context;
    if (message->request && message->request->origin)
        message->change.origin = &message->request->origin->audit;
    message->change.at_ms = clock_wall_ms();
    self->writes++;
    store_send(self->broker->store_thread, message);
}

void query_refuse(struct query *self, struct request *request, int error, struct text text)
{
    struct answer *answer = answer_new(request->ticket);
    answer->error = error;
    buf_append_text(&answer->text, text);
    request_free(request);
    dispatcher_send(self->broker->dispatcher, answer);
}
