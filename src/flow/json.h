/* The fields of one JSON event, by path. A thin C face of simdjson (the one C++ file of the house):
 * the whole text is validated, UTF-8 included; of duplicate keys the last counts, as in jq. An
 * integer beyond 64 bits makes the text invalid, as does nesting deeper than 1,024. One thread per
 * parser. */
#ifndef LEAT_FLOW_JSON_H
#define LEAT_FLOW_JSON_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_parser;

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    enum json_type type;
    /* STRING: decoded (it may hold a zero byte); BOOL: `true` or `false`; NUMBER: an integer as
     * written, any other as the shortest text that reads back as the same double. Else empty.
     * Borrowed from the document. */
    struct bytes text;
    const void *opaque[2]; /* where in the document it is */
};

struct json_parser *json_parser_new(void);
void json_parser_free(struct json_parser *p);
/* 0, or -1 with *ret_error a static sentence. Copies the text as it must be padded. Until the first
 * success, and after a failure, everything is JSON_ABSENT. */
int json_parse(struct json_parser *p, struct bytes text, const char **ret_error);
/* Path is dotted names: "meta.domain". A missing step gives JSON_ABSENT. "" is the whole. Values
 * are good until the next json_parse of this parser. */
void json_get(struct json_parser *p, struct bytes path, struct json_value *ret);
/* As json_get, from a value on. */
void json_field(struct json_parser *p, const struct json_value *object, struct bytes path,
                struct json_value *ret);
/* 0 for anything but an array. */
size_t json_count(const struct json_value *array);
/* In linear time, so for walking short lists: JSON_ABSENT past the end or for anything but an
 * array. */
void json_element(struct json_parser *p, const struct json_value *array, size_t index,
                  struct json_value *ret);
/* Calls fn for each field of an object, in order; false when `object` is none. Repeated names come
 * repeatedly. `name` and the value live as long as those of json_get. */
typedef void (*json_field_fn)(void *arg, struct bytes name, const struct json_value *value);
bool json_each(struct json_parser *p, const struct json_value *object, json_field_fn fn, void *arg);
/* The value as JSON without spaces. Borrowed until the next call of any function of this parser. */
struct bytes json_minified(struct json_parser *p, const struct json_value *value);

#ifdef __cplusplus
}
#endif

#endif
