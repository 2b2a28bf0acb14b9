/* Writes JSON (RFC 8259) into a buffer: commas and escapes are its business, the shape is the
 * caller's. Strings may hold any bytes: what is not UTF-8 becomes U+FFFD. */
#ifndef LEAT_HTTP_JSON_OUT_H
#define LEAT_HTTP_JSON_OUT_H

#include "base/buf.h"

enum { JSON_OUT_DEPTH_MAX = 16 };

struct json_out {
    struct buf *out; /* borrowed; appended to */
    int depth;
    bool filled[JSON_OUT_DEPTH_MAX + 1]; /* whether the container of each depth has an element */
    bool keyed;                          /* a key stands there and waits for its value */
};

void json_out_init(struct json_out *j, struct buf *out);

void json_out_object(struct json_out *j);
void json_out_object_end(struct json_out *j);
void json_out_array(struct json_out *j);
void json_out_array_end(struct json_out *j);
/* The name of the next value; only within an object. */
void json_out_key(struct json_out *j, const char *name);
/* The same for a name from outside, mended as strings are. */
void json_out_name(struct json_out *j, struct bytes name);

void json_out_string(struct json_out *j, struct bytes text);
void json_out_text(struct json_out *j, const char *text); /* NULL: null */
void json_out_int(struct json_out *j, int64_t n);
/* In the fewest digits that read back as the same number; NaN and infinities, which JSON lacks,
 * are null. */
void json_out_number(struct json_out *j, double d);
void json_out_bool(struct json_out *j, bool b);
void json_out_null(struct json_out *j);

#endif
