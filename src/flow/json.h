/* The fields of one JSON event, by path. A thin C face of simdjson (the one C++ file of the house):
 * the whole text is validated, UTF-8 included; of duplicate keys the last counts, as in jq. */
#ifndef LEAT_FLOW_JSON_H
#define LEAT_FLOW_JSON_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_parser;
struct json_doc; /* belongs to its parser, until the next json_parse */

enum json_type { JSON_ABSENT, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_type type;
    struct bytes text; /* STRING: decoded; NUMBER, BOOL: as written. Borrowed from the document */
    const void *handle; /* for json_count/json_element */
    unsigned char opaque[32];
};

struct json_parser *json_parser_new(void);
void json_parser_free(struct json_parser *p);
/* 0, or -1 with *ret_error a static sentence. Copies the text as it must be padded. */
int json_parse(struct json_parser *p, struct bytes text, const char **ret_error);
/* Path is dotted names: "meta.domain". A missing step gives JSON_ABSENT. "" is the whole. */
void json_get(struct json_parser *p, struct bytes path, struct json_value *ret);
size_t json_count(const struct json_value *array);
void json_element(struct json_parser *p, const struct json_value *array, size_t index,
                  struct json_value *ret);

#ifdef __cplusplus
}
#endif

#endif
