/* The library's own locked memory for requests and answers.
 * Thread: any. */
#ifndef CLIENT_ARENA_H
#define CLIENT_ARENA_H

/* Makes it, once in a process; it stays until the process ends. 0, BURSAR_E_NOMEM, BURSAR_E_IO. */
int arena_start(void);

#endif
