/* What ZeroMQ alone can do: a ROUTER that answers each job with as many bytes as asked for.
 * Thread: one, and ZeroMQ's.
 *
 *     echo ENDPOINT REPLY_BYTES [FILE_OF_THE_SECRET_CURVE_KEY]
 *     echo --hold JOBS ENDPOINT REPLY_BYTES
 *
 * The answer has the job's id and `ok`, as `bursar bench` looks for them, and nothing else that means anything.
 * With --hold it answers when it has so many jobs, all of them then, and says "begun" and when that was, in ms since
 * 1970. It says "ready" and goes on until it is ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

struct held {
    zmq_msg_t peer, empty, job;
};

static void take(void *socket, struct held *held)
{
    zmq_msg_init(&held->peer);
    zmq_msg_init(&held->empty);
    zmq_msg_init(&held->job);
    if (zmq_msg_recv(&held->peer, socket, 0) < 0 || zmq_msg_recv(&held->empty, socket, 0) < 0 ||
        zmq_msg_recv(&held->job, socket, 0) < 0)
        give_up(zmq_strerror(zmq_errno()));
}

/* Where the id stands is the same in all jobs of `bursar bench`. */
static void answer(void *socket, struct held *held, const unsigned char *reply, size_t len)
{
    zmq_msg_t frame;
    if (zmq_msg_size(&held->job) < ID_IN_JOB + ID_BYTES || zmq_msg_init_size(&frame, len) != 0)
        give_up("no job, or no memory");
    unsigned char *out = zmq_msg_data(&frame);
    memcpy(out, reply, len);
    memcpy(out + ID_IN_JOB, (const unsigned char *)zmq_msg_data(&held->job) + ID_IN_JOB, ID_BYTES);
    if (zmq_msg_send(&held->peer, socket, ZMQ_SNDMORE) < 0 ||
        zmq_msg_send(&held->empty, socket, ZMQ_SNDMORE) < 0 || zmq_msg_send(&frame, socket, 0) < 0)
        give_up(zmq_strerror(zmq_errno()));
    zmq_msg_close(&held->job);
}

static void say_begun(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("begun %.3f\n", (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    size_t hold = 1;
    int no_limit = 0;
    if (argc > 3 && strcmp(argv[1], "--hold") == 0) {
        hold = strtoul(argv[2], NULL, 10);
        argc -= 2;
        argv += 2;
    }
    size_t len = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (argc < 3 || hold < 1 || len < sizeof head || len > REPLY_MAX)
        give_up("usage: echo [--hold JOBS] ENDPOINT REPLY_BYTES [FILE_OF_THE_SECRET_CURVE_KEY]");
    unsigned char *reply = calloc(len, 1);
    struct held *held = calloc(hold, sizeof *held);
    void *context = zmq_ctx_new(), *socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
    if (!reply || !held || !socket)
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
        for (size_t i = 0; i < hold; i++)
            take(socket, &held[i]);
        if (hold > 1)
            say_begun();
        for (size_t i = 0; i < hold; i++)
            answer(socket, &held[i], reply, len);
    }
}
