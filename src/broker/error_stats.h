/* How often each error code was replied: INFO errorstats. */
#ifndef LEAT_BROKER_ERROR_STATS_H
#define LEAT_BROKER_ERROR_STATS_H

#include <stddef.h>
#include <stdint.h>

struct error_stat {
    uint64_t count;
    size_t len;
    char code[48];
};

/* Mean of the last samples of a rate, per second. */
int64_t broker_rate(const int64_t samples[16]);

#endif
