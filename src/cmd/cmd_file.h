/* New files.
 * Thread: the program's only one. */
#ifndef CMD_CMD_FILE_H
#define CMD_CMD_FILE_H

#include <sys/types.h>

#include "base/text.h"

/* Makes a file that must not be there yet, with its content on the disk. 0, or BURSAR_E_IO and errno; it
 * is not there then, unless it was before. */
int cmd_file_make(int folder_fd, const char *name, mode_t mode, struct text text);

#endif
