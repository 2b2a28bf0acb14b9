/* Log lines on standard error: `2026-01-31T12:00:00.123Z level module: text`. Any thread. For the
 * program's outer layers only: base, resp, log, keys and the client library never print. */
#ifndef LEAT_BASE_LOGLINE_H
#define LEAT_BASE_LOGLINE_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING };

void logline_level(enum log_level lowest);
void logline(enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
