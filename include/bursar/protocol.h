/* Limits and default endpoints of bursar protocol 1; doc/protocol.md is the contract.
 * Thread: any; constants only. */
#ifndef BURSAR_PROTOCOL_H
#define BURSAR_PROTOCOL_H

#define BURSAR_JOBS_ENDPOINT "ipc:///run/bursar/jobs"
#define BURSAR_INTAKE_ENDPOINT "ipc:///run/bursar/intake"
#define BURSAR_EVENTS_ENDPOINT "ipc:///run/bursar/events"

#define BURSAR_MAX_JOB_BYTES 65536   /* default of `max_job_bytes` */
#define BURSAR_MAX_OWNER_BYTES 128   /* an owner's name */
#define BURSAR_MAX_PURPOSE_BYTES 256 /* what a job is for */
#define BURSAR_MAX_PROVIDER_BYTES 64 /* [a-z0-9][a-z0-9_-]* */
#define BURSAR_MAX_ACCOUNT_BYTES 256 /* an account's name at its provider */
#define BURSAR_ID_RANDOM_CHARS 26    /* Crockford base32 after the dot of a connection id */
#define BURSAR_MAX_CONNECTION_BYTES (BURSAR_MAX_PROVIDER_BYTES + 1 + BURSAR_ID_RANDOM_CHARS)
#define BURSAR_MAX_NESTING 16 /* maps and arrays inside each other in one body */

#define BURSAR_DEFAULT_DEADLINE_MS 30000
#define BURSAR_ALIVE_EVERY_MS 10000 /* the `alive` event on the events socket */
#define BURSAR_DEFAULT_ACCOUNT "default"

#endif
