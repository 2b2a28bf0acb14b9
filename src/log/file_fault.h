/* A file layer for tests, over the real one: fails, shortens or delays the Nth call of a kind, can
 * be short of space, and can record what was written and synced, so that a directory can be built
 * as a power failure at any moment would have left it. Any thread. */
#ifndef LEAT_LOG_FILE_FAULT_H
#define LEAT_LOG_FILE_FAULT_H

#include <pthread.h>

#include "log/file.h"

enum fault_call {
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_SYNC_DIR,
    FAULT_ALLOCATE,
    FAULT_MEASURE,
    FAULT_TRUNCATE,
    FAULT_RENAME,
    FAULT_UNLINK,
    FAULT_MKDIR,
    FAULT_LIST,
    FAULT_LOCK,
    FAULT_CALLS,
};

struct fault_rule {
    uint64_t nth;      /* the call it is for, from 1; 0: none */
    bool onwards;      /* and all calls after it */
    int error;         /* negative errno to fail with; 0: do not fail */
    bool shorten;      /* a write takes half of what it is given */
    unsigned delay_us; /* before the call */
};

/* How much of what was not synced a power failure leaves. */
enum fault_loss {
    LOSS_ALL,     /* none of it */
    LOSS_NONE,    /* all of it */
    LOSS_TAIL,    /* the writes up to some moment, the last one torn */
    LOSS_WRITES,  /* some writes, in any order */
    LOSS_SECTORS, /* some state of each sector by itself */
    LOSS_KINDS,
};

struct fault_op;

struct file_fault {
    struct file_layer layer; /* what is handed to the code under test */
    pthread_mutex_t lock;
    struct fault_rule rules[FAULT_CALLS];
    uint64_t calls[FAULT_CALLS];
    bool no_direct; /* no file can be written around the page cache */
    int64_t space;  /* bytes that allocate() may still give; negative: any number */
    bool recording;
    struct fault_op *ops;
    size_t op_count, op_cap;
    size_t base_ops; /* the first ones: what was there before */
    uint64_t inodes;
    uint64_t *inode_of_fd;
    size_t fd_cap;
};

void file_fault_init(struct file_fault *f);
void file_fault_fini(struct file_fault *f);
/* Puts the rule in force and counts that kind of call from 1 again. */
void file_fault_set(struct file_fault *f, enum fault_call call, struct fault_rule rule);
void file_fault_clear(struct file_fault *f);
void file_fault_give_space(struct file_fault *f, int64_t space);
/* From now on. The names in `dir`, the only directory that may be used then, count as synced, and
 * what is in the files as `synced` says. */
void file_fault_record(struct file_fault *f, const char *dir, bool synced);
/* Records that the code under test has promised `value` by now; returns the number of operations so
 * far. */
size_t file_fault_note(struct file_fault *f, uint64_t value);
/* Fills the (empty) directory with what a power failure after `ops` recorded operations leaves of
 * it. Returns the highest note before. */
uint64_t file_fault_crash(struct file_fault *f, size_t ops, enum fault_loss loss, uint64_t seed,
                          const char *into_dir);

#endif
