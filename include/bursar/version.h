/* Version of the library and of the wire protocol.
 * Thread: any. */
#ifndef BURSAR_VERSION_H
#define BURSAR_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

#define BURSAR_VERSION "0.1.0"
#define BURSAR_PROTOCOL \
    1 /* the number of doc/protocol.md; grows only where old clients would break */

/* Version of the library that is linked, which may be newer than BURSAR_VERSION. Constant. */
const char *bursar_version(void);

#ifdef __cplusplus
}
#endif
#endif
