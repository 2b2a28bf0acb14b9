/* Commands as leat_commandf writes them, and what is to be known of a command before it is sent. */
#ifndef LEAT_CLIENT_COMMAND_H
#define LEAT_CLIENT_COMMAND_H

#include <stdarg.h>

#include "base/buf.h"

/* The words of a formatted command; init with {0}. */
struct words {
    struct buf text;
    struct bytes *argv; /* points into text */
    size_t argc;
};
/* 0, or -EINVAL: an unknown conversion, or no word at all. */
int words_format(struct words *w, const char *format, va_list args);
void words_fini(struct words *w);

enum { PATIENCE_FOREVER = -1 };
/* For how many milliseconds the peer may rightly keep silent over this command, as it asks to wait
 * (BLPOP, XREAD BLOCK and their like); 0 for other commands. */
int64_t command_patience_ms(const struct bytes *argv, size_t argc);

#endif
