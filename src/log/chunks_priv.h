/* The inside of the chunk store, for chunks.c and chunks_io.c. */
#ifndef LEAT_LOG_CHUNKS_PRIV_H
#define LEAT_LOG_CHUNKS_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "log/chunks.h"

enum {
    CHUNKS_TOGETHER = 32,      /* chunks in one write */
    RETRY_MS = 500,            /* after a failed write, the disk full, say */
    CHUNK_FILES_OPEN_MAX = 32, /* but for those that have to be: descriptors are the clients' */
};
#define CHUNK_FILE_BYTES_DEFAULT (UINT64_C(256) << 20)
#define NOT_DEAD                 UINT64_MAX

struct chunk_file {
    uint64_t number;
    uint64_t size;      /* bytes written, or found at the start */
    uint64_t live;      /* bytes of chunks that something refers to */
    uint64_t dead_from; /* journal position; NOT_DEAD */
    int fd;             /* -1: not open */
    uint64_t used_at;   /* the higher, the later */
    bool dirty;         /* written to since it was synced: its descriptor stays */
    bool full;          /* not written to any more */
    bool stuck;         /* a chunk of it cannot be moved away: it stays as it is */
    unsigned users;     /* threads that read or sync it: its descriptor stays */
};

struct chunk_queue {
    struct chunk_job *first, *last;
};

struct chunks {
    const struct file_layer *files;
    char *dir;
    uint64_t file_bytes;
    int wake_fd;
    pthread_t writer, reader;
    bool started;

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t write_work, read_work;
    bool stopping;
    struct chunk_queue to_write, to_read, finished;
    struct chunk_file **file; /* by number, ascending */
    size_t count, cap;
    size_t open; /* of them */
    uint64_t uses;
    uint64_t next_number;
    uint64_t backlog;
    uint64_t written, read, moved;
    int write_error;
    int sync_error;            /* stays: what the disk has of the files is unknown from then on */
    pthread_mutex_t sync_lock; /* one chunks_sync() at a time, so that none returns too early */
};

void chunk_queue_push(struct chunk_queue *q, struct chunk_job *job);
struct chunk_job *chunk_queue_pop(struct chunk_queue *q);

/* With `lock` held. */
struct chunk_file *chunks_find(const struct chunks *c, uint64_t number);
struct chunk_file *chunks_add_file(struct chunks *c, uint64_t number, uint64_t size);
/* Opens the file if need be: its descriptor or negative. It stays open while the file is dirty, not
 * full, or has users. */
int chunks_open_file(struct chunks *c, struct chunk_file *f);
/* For one that was just made. */
void chunks_note_open(struct chunks *c, struct chunk_file *f, int fd);

void *chunks_writer_main(void *chunks);
void *chunks_reader_main(void *chunks);
void chunk_file_header_encode(char page[CHUNK_FILE_HEADER], uint64_t number);

#endif
