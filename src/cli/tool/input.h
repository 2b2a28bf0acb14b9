/* Lines of standard input, however they come: many at once or one an hour. */
#ifndef LEAT_CLI_TOOL_INPUT_H
#define LEAT_CLI_TOOL_INPUT_H

#include "base/bytes.h"

enum { INPUT_LINE_MAX = 64 * 1024 * 1024 };

struct input {
    /* A line without its \n or \r\n; false ends the reading. */
    bool (*on_line)(void *arg, struct bytes line);
    /* No more lines are there at the moment, or at all. False ends the reading. */
    bool (*on_pause)(void *arg);
    void *arg;
};

/* Until the end of the file, or until a callback says so: 0. A line beyond INPUT_LINE_MAX is
 * -E2BIG, a failed read another negative errno. The last line needs no \n. */
int input_lines(int fd, const struct input *in);
/* What such a number means, as a person would say it. */
const char *input_error(int rc);

#endif
