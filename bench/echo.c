/* What ZeroMQ alone can do: a ROUTER that answers each job with as many bytes as asked for.
 * Thread: one, and ZeroMQ's.
 *
 *     echo ENDPOINT REPLY_BYTES [FILE_OF_THE_SECRET_CURVE_KEY]
 *
 * The answer has the job's id and `ok`, as `bursar bench` looks for them, and nothing else that means anything.
 * It says "ready" and goes on until it is ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

enum { REPLY_MAX = 1 << 20, ID_IN_JOB = 9, ID_BYTES = 4, KEY_SIZE = 64 };

/* {"id": (uint 32), "ok": true … } */
static const unsigned char head[] = {0xdf, 0, 0, 0, 2,    0xa2, 'i', 'd', 0xce,
                                     0,    0, 0, 0, 0xa2, 'o',  'k', 0xc3};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "echo: %s\n", what);
    exit(1);
}

static void use_key(void *socket, const char *path)
{
    char key[KEY_SIZE] = "";
    int one = 1;
    FILE *file = fopen(path, "re");
    if (!file || !fgets(key, sizeof key, file))
        give_up(path);
    fclose(file);
    key[strcspn(key, "\n")] = 0;
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key, strlen(key)) != 0)
        give_up(zmq_strerror(zmq_errno()));
}

/* Where the id stands is the same in all jobs of `bursar bench`. */
static void answer(void *socket, zmq_msg_t *job, const unsigned char *reply, size_t len)
{
    zmq_msg_t frame;
    if (zmq_msg_size(job) < ID_IN_JOB + ID_BYTES || zmq_msg_init_size(&frame, len) != 0)
        give_up("no job, or no memory");
    unsigned char *out = zmq_msg_data(&frame);
    memcpy(out, reply, len);
    memcpy(out + ID_IN_JOB, (const unsigned char *)zmq_msg_data(job) + ID_IN_JOB, ID_BYTES);
    if (zmq_msg_send(&frame, socket, 0) < 0)
        give_up(zmq_strerror(zmq_errno()));
}

int main(int argc, char **argv)
{
    size_t len = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    int no_limit = 0;
    if (argc < 3 || len < sizeof head || len > REPLY_MAX)
        give_up("usage: echo ENDPOINT REPLY_BYTES [FILE_OF_THE_SECRET_CURVE_KEY]");
    unsigned char *reply = calloc(len, 1);
    void *context = zmq_ctx_new(), *socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
    if (!reply || !socket)
        give_up("no memory");
    memcpy(reply, head, sizeof head);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &no_limit, sizeof no_limit);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &no_limit, sizeof no_limit);
    if (argc > 3)
        use_key(socket, argv[3]);
    if (zmq_bind(socket, argv[1]) != 0)
        give_up(zmq_strerror(zmq_errno()));
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        zmq_msg_t peer, empty, job;
        zmq_msg_init(&peer);
        zmq_msg_init(&empty);
        zmq_msg_init(&job);
        if (zmq_msg_recv(&peer, socket, 0) < 0 || zmq_msg_recv(&empty, socket, 0) < 0 ||
            zmq_msg_recv(&job, socket, 0) < 0 || zmq_msg_send(&peer, socket, ZMQ_SNDMORE) < 0 ||
            zmq_msg_send(&empty, socket, ZMQ_SNDMORE) < 0)
            give_up(zmq_strerror(zmq_errno()));
        answer(socket, &job, reply, len);
        zmq_msg_close(&job);
    }
}
