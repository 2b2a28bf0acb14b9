/* Sentences about what went wrong between us and an HTTP peer, each with what helps. */
#ifndef LEAT_FLOW_HTTP_WHY_H
#define LEAT_FLOW_HTTP_WHY_H

#include <stddef.h>

/* For a CURLcode other than CURLE_OK; `detail` is curl's own text, possibly empty. */
void http_why(int code, const char *detail, char *ret_text, size_t size);
/* For a status that is not a success. */
void http_why_status(long status, char *ret_text, size_t size);

#endif
