/* Bytes from outside as text for people: nothing that comes from a server reaches a terminal as a
 * control sequence, and a word stays one word. */
#ifndef LEAT_CLI_TOOL_TEXT_H
#define LEAT_CLI_TOOL_TEXT_H

#include "base/buf.h"

/* As it is when it is one printable word; else in double quotes with \" \\ \n \r \t \xHH, as
 * redis-cli quotes. The empty word is "". */
void text_put_word(struct buf *out, struct bytes word);
/* As it is, but for control characters and what is not UTF-8, which become \n, \xHH and so on. */
void text_put_line(struct buf *out, struct bytes line);
/* Columns of a terminal: none for marks that combine, two for what East Asian writing and emoji
 * take, one for each byte that is not UTF-8. */
size_t text_width(struct bytes text);
/* Bytes of the longest beginning that is no wider. */
size_t text_cut(struct bytes text, size_t width);
/* 512, 1.2KB, 34MB, 5.1GB: powers of 1,024. */
void text_put_size(struct buf *out, int64_t bytes);
/* 0, 0.3, 12, 1530: as many digits as a glance takes in. */
void text_put_rate(struct buf *out, double per_second);

#endif
