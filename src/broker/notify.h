/* Classes of keyspace notifications, and their letters in notify-keyspace-events. */
#ifndef LEAT_BROKER_NOTIFY_H
#define LEAT_BROKER_NOTIFY_H

#include "base/buf.h"

enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0, /* K */
    NOTIFY_KEYEVENT = 1 << 1, /* E */
    NOTIFY_GENERIC = 1 << 2,  /* g */
    NOTIFY_STRING = 1 << 3,   /* $ */
    NOTIFY_LIST = 1 << 4,     /* l */
    NOTIFY_SET = 1 << 5,      /* s */
    NOTIFY_HASH = 1 << 6,     /* h */
    NOTIFY_ZSET = 1 << 7,     /* z */
    NOTIFY_EXPIRED = 1 << 8,  /* x */
    NOTIFY_EVICTED = 1 << 9,  /* e */
    NOTIFY_STREAM = 1 << 10,  /* t */
    NOTIFY_MODULE = 1 << 11,  /* d */
    NOTIFY_MISS = 1 << 12,    /* m, not part of A */
    NOTIFY_NEW = 1 << 13,     /* n, not part of A */
    NOTIFY_ALL = NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH |
                 NOTIFY_ZSET | NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE,
};

/* False when a letter is unknown. */
bool notify_parse(struct bytes letters, unsigned *ret_classes);
/* In Redis's order, "A" for all; appended to `out`. */
void notify_format(unsigned classes, struct buf *out);

#endif
