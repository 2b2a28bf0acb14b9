/* Batches and blocks of one open file, through a window of memory. Nothing read is trusted. */
#ifndef LEAT_LOG_READER_H
#define LEAT_LOG_READER_H

#include "base/buf.h"
#include "log/file.h"
#include "log/format.h"

struct reader {
    const struct file_layer *files;
    int fd;
    uint64_t limit;     /* bytes of the file that count */
    struct buf *window; /* lent; holds what is at window_at of the file */
    uint64_t window_at;
    bool patient; /* after a failure, tries to read no more than what was asked for */
};

/* What a patient reader's user steps over where the disk cannot be read. */
enum { READER_UNREADABLE = 4096 };

void reader_init(struct reader *r, const struct file_layer *files, int fd, uint64_t limit,
                 struct buf *window);
/* n bytes at offset, valid until the next call; offset + n must be within the limit. NULL when
 * reading failed: *ret_error is the negative errno. */
const char *reader_get(struct reader *r, uint64_t offset, uint64_t n, int *ret_error);
/* Whose batches are meant; 0: anybody's. */
struct batch_owner {
    uint64_t history, epoch;
};
/* The batch at offset: 1 when it is whole and of that owner (records at *ret_records, valid until
 * the next call), 0 when there is none, negative when reading failed. */
int reader_batch(struct reader *r, uint64_t offset, struct batch_owner owner,
                 struct batch_header *ret, const char **ret_records);
/* Where batches of earlier epochs may lie: does what lies at offset look as if it had been meant as
 * the batch of that owner at this position? The offset behind it, as far as that can be told; 0
 * when it does not; negative when reading failed. */
int64_t reader_torn(struct reader *r, uint64_t offset, struct batch_owner owner, uint64_t position);
/* The same for the block of a snapshot. */
int reader_block(struct reader *r, uint64_t offset, struct block_header *ret,
                 const char **ret_content);
/* Moves *offset on to the next place that may hold a batch, by its magic; to the limit when there
 * is none. Raises *ret_nonzero_end to behind the last byte passed over that is not zero. */
int reader_seek(struct reader *r, uint64_t *offset, uint64_t *ret_nonzero_end);

#endif
