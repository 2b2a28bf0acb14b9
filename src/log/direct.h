/* Batches written around the page cache: the write is the sync. For the files of src/log alone. */
#ifndef LEAT_LOG_DIRECT_H
#define LEAT_LOG_DIRECT_H

#include "log/segment.h"

/* The syncer's own. */
struct direct {
    char *bytes;     /* whole blocks, aligned; NULL until it is needed */
    uint64_t number; /* the segment written to last; 0: none */
    int fd;          /* of its own for that; -1: it cannot be written to like this */
    uint64_t end;    /* where the last batch ended, `bytes` begins with its block; 0: not known */
};

/* Writes these bytes to the segment and makes them durable. The file must hold no writes that are
 * not synced. 0, a negative errno, or 1 when it cannot be done in this way: then they have still to
 * be written. */
int direct_write(struct direct *d, const struct file_layer *files, const char *dir,
                 struct segment *s, const struct iovec *iov, int count, uint64_t offset);
/* The segment is full: lets go of its file. */
void direct_leave(struct direct *d, const struct file_layer *files, const struct segment *s);
void direct_fini(struct direct *d, const struct file_layer *files);

#endif
