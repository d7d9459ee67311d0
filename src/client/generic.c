#include <bursar/client.h>

#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"

static int run(struct bursar_client *client, const char *op, const struct ask_request *request,
               char **out_reply_json, struct bursar_failure *out_failure)
{
    struct call call;
    struct reply reply;
    call_begin(&call, client, op, request->deadline_ms);
    ask_request_pack(request, &call.map);
    int error = call_run(&call, &reply, out_failure);
    *out_reply_json = reply.root ? reply_json(&reply) : NULL;
    if (reply.root && !*out_reply_json)
        error = failure_plain(out_failure, BURSAR_E_NOMEM);
    reply_end(&reply);
    call_end(&call);
    return error;
}

int bursar_call(struct bursar_client *client, const char *op, const char *request_json,
                char **out_reply_json, struct bursar_failure *out_failure)
{
    struct ask_request request;
    *out_reply_json = NULL;
    int error = ask_request_read(&request, request_json, out_failure);
    if (error == 0)
        error = run(client, op, &request, out_reply_json, out_failure);
    ask_request_end(&request);
    return error;
}
