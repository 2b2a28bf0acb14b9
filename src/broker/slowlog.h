/* The slow log: the last commands that took longer than a limit. A ring, newest first. */
#ifndef LEAT_BROKER_SLOWLOG_H
#define LEAT_BROKER_SLOWLOG_H

#include "base/buf.h"

struct slow_entry {
    uint64_t id;
    int64_t time_s, duration_us;
    struct buf argv; /* encoded as RESP bulk strings, cut as Redis cuts them */
    size_t argc;
    struct buf address, name;
    struct slow_entry *next;
};

struct slowlog {
    struct slow_entry *first;
    size_t count;
    uint64_t next_id;
};

/* True for what neither the slow log nor MONITOR may show: passwords. */
bool argument_is_secret(const struct bytes *argv, size_t i);

void slowlog_add(struct slowlog *log, size_t max, int64_t time_s, int64_t duration_us, size_t argc,
                 const struct bytes *argv, const char *address, struct bytes name);
void slowlog_clear(struct slowlog *log);

#endif
