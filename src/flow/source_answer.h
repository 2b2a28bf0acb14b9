/* Whether the head of a response is one that a source can read. */
#ifndef LEAT_FLOW_SOURCE_ANSWER_H
#define LEAT_FLOW_SOURCE_ANSWER_H

#include "flow/http_stream.h"
#include "flow/source.h"

/* False with a sentence that says what helps. */
bool source_accepts(enum source_type type, const struct http_head *head, char *ret_why,
                    size_t size);

#endif
