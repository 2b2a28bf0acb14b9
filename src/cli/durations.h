/* Durations on the command line. */
#ifndef LEAT_CLI_DURATIONS_H
#define LEAT_CLI_DURATIONS_H

#include <stdio.h>

#include "flow/units.h"

/* `text` NULL leaves *ret_ms alone. False, with the error on standard error, when it is not one. */
static inline bool cli_duration(const char *option, const char *text, int *ret_ms)
{
    int64_t ms;
    const char *why;
    if (text == NULL) return true;
    if (units_duration_ms(bytes_of(text), &ms, &why) < 0 || ms > INT32_MAX) {
        fprintf(stderr, "%s %s: write a duration such as 10s or 500ms\n", option, text);
        return false;
    }
    *ret_ms = (int)ms;
    return true;
}

#endif
