/* The start: the newest whole snapshot, then the journal behind it. See broker.h for the order. */
#ifndef LEAT_BROKER_LOAD_H
#define LEAT_BROKER_LOAD_H

#include <stdatomic.h>
#include <stdint.h>

#include "log/journal.h"

struct broker;

/* Written by the loading thread, read by the loop's: the atomics at any time, the rest once it is
 * over. */
struct load {
    atomic_bool stop;
    atomic_uint_fast64_t done, total; /* bytes of the file under way */
    int64_t began_us, told_us;        /* monotonic; told: the last line of progress */
    char *dir; /* a copy of the setting: CONFIG SET makes all settings anew meanwhile */

    bool has_snapshot;
    bool salvaged; /* it is inexact */
    struct journal_from from;
    uint64_t snapshot_size;
    int64_t snapshot_time_ms;
    uint64_t snapshot_records, journal_records;
    int64_t snapshot_ms, journal_ms;
    unsigned fallbacks; /* snapshots that were found bad */
};

#endif
