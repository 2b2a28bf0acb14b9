/* Writes RESP2 and RESP3 into a buffer. One set of functions for both: the protocol version decides
 * how a map, a set, a double, a null look. No I/O.
 *
 * Protocol: the RESP specification as published on redis.io (RESP2 and RESP3). */
#ifndef LEAT_RESP_WRITER_H
#define LEAT_RESP_WRITER_H

#include "base/buf.h"

struct resp_writer {
    struct buf *out; /* borrowed */
    int proto;       /* 2 or 3 */
};

void resp_simple(struct resp_writer *w, const char *text); /* +OK */
/* Text begins with the code ("ERR ..."); CR and LF in it become spaces. */
void resp_error(struct resp_writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void resp_error_bytes(struct resp_writer *w, struct bytes text);
void resp_int(struct resp_writer *w, int64_t n);
void resp_bulk(struct resp_writer *w, struct bytes b);
void resp_bulk_str(struct resp_writer *w, const char *s);
void resp_bulk_i64(struct resp_writer *w, int64_t n); /* the number as a bulk string */
/* A score: bulk string in RESP2, double in RESP3; text as num_format_double. */
void resp_double(struct resp_writer *w, double d);
void resp_bool(struct resp_writer *w, bool b); /* :1/:0 or #t/#f */
/* Bulk string in RESP2, verbatim string of type txt in RESP3. */
void resp_verbatim(struct resp_writer *w, const char *type3, struct bytes text);
void resp_null(struct resp_writer *w);       /* $-1 or _ */
void resp_null_array(struct resp_writer *w); /* *-1 or _ */
void resp_array(struct resp_writer *w, size_t n);
void resp_map(struct resp_writer *w, size_t pairs); /* *2n or %n */
void resp_set(struct resp_writer *w, size_t n);     /* *n or ~n */
void resp_push(struct resp_writer *w, size_t n);    /* *n or >n */

/* A field of a map: its name, its value. */
void resp_field(struct resp_writer *w, const char *name, struct bytes value);
void resp_field_int(struct resp_writer *w, const char *name, int64_t value);

/* For an aggregate whose length is known only afterwards: remember the place, write the elements,
 * then insert the header there. */
static inline size_t resp_defer(const struct resp_writer *w)
{
    return w->out->len;
}
void resp_defer_array(struct resp_writer *w, size_t place, size_t n);
void resp_defer_map(struct resp_writer *w, size_t place, size_t pairs);
void resp_defer_set(struct resp_writer *w, size_t place, size_t n);

/* A command as a client sends it: array of bulk strings. */
void resp_command(struct resp_writer *w, const struct bytes *argv, size_t argc);

#endif
