/* The files of the dashboard (web/, and what it takes from npm), built into the binary by
 * scripts/embed.py. */
#ifndef LEAT_HTTP_FILES_H
#define LEAT_HTTP_FILES_H

#include "base/bytes.h"

struct http_file {
    const char *path; /* where it is served: "/", "/app.js" */
    const char *content_type;
    struct bytes content;
};

extern const struct http_file http_files[];
extern const size_t http_files_count;

#endif
