/* Segment files: their names, and the making of new ones. See docs/format.md for the bytes. */
#ifndef LEAT_LOG_SEGMENT_H
#define LEAT_LOG_SEGMENT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "log/file.h"
#include "log/format.h"

enum { SEGMENT_NAME_MAX = 40, SEGMENT_BYTES_MIN = 8 << 10 };

struct segment {
    struct segment *next;
    uint64_t number;         /* epoch, and the number in the name */
    uint64_t first_position; /* once in use */
    uint64_t size;
    uint64_t used; /* bytes, from the start of the file; 0 while prepared */
    int fd;        /* -1 when closed */
    bool dirty;    /* holds writes that no sync has covered */
    bool recycled; /* behind what is used lies what it held before */
};

void segment_name(char out[SEGMENT_NAME_MAX], uint64_t number);
/* False when the name is not a segment's. */
bool segment_name_parse(const char *name, uint64_t *ret_number);
/* dir/name on the heap. */
char *path_join(const char *dir, const char *name);

/* Opens an existing file; `size` and the rest are filled in from the file alone. */
int segment_open(const struct file_layer *files, const char *dir, uint64_t number,
                 struct segment **ret);

struct segment_plan {
    uint64_t number;
    uint64_t size;
    bool zero;                /* write zeros: then later syncs have no metadata to change */
    const atomic_bool *hurry; /* becomes true: leave the zeros, the space is set aside */
    const atomic_bool *stop;  /* becomes true: give up with -ECANCELED */
};
/* Makes a file of the full size, all of it set aside, and its name durable; it has the name only
 * once it is whole. The number must be free. Nothing is left behind on failure. */
int segment_prepare(const struct file_layer *files, const char *dir,
                    const struct segment_plan *plan, struct segment **ret);
/* Makes a prepared segment of the file of one that nobody needs any more, which must be closed, of
 * at least `size` bytes with all their space set aside: -EINVAL when it is not. Whatever happens,
 * the old name is gone, and on failure so is the file. */
int segment_recycle(const struct file_layer *files, const char *dir, uint64_t old_number,
                    uint64_t history, uint64_t number, uint64_t size, struct segment **ret);
/* Closes and frees; the file stays. NULL is fine. */
void segment_free(const struct file_layer *files, struct segment *s);

#endif
