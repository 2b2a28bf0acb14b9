/* Reads a file whole, decompressed. */
#ifndef LEAT_CLI_REPLAY_FILE_H
#define LEAT_CLI_REPLAY_FILE_H

#include "base/buf.h"

/* Appends all of `path` ("-": standard input) to `out`, through xz when it begins like an .xz file.
 * -1 with a sentence in `error`. */
int replay_file_read(const char *path, struct buf *out, struct buf *error);

#endif
