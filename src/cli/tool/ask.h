/* One command on its way to a server, word by word; owns copies of its words. Init with {0}. */
#ifndef LEAT_CLI_TOOL_ASK_H
#define LEAT_CLI_TOOL_ASK_H

#include "base/buf.h"

struct leat_sync;

struct ask {
    struct buf text;
    size_t *ends;
    size_t count, cap;
};

void ask_bytes(struct ask *a, struct bytes word);
void ask_text(struct ask *a, const char *word);
void ask_int(struct ask *a, int64_t n);
/* Each word of `words`, which are separated by single spaces. */
void ask_words(struct ask *a, const char *words);
/* Sends it and frees it. 0, or -EPIPE. */
int ask_send(struct ask *a, struct leat_sync *to);
void ask_fini(struct ask *a);

#endif
