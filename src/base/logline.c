/* Lines are put together on the stack and leave by one write, without locks. */
#include "base/logline.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_int lowest_level = LOG_LEVEL_NOTICE;

void logline_level(enum log_level lowest)
{
    atomic_store(&lowest_level, (int)lowest);
}

void logline(enum log_level level, const char *module, const char *format, ...)
{
    static const char *const names[] = {"debug", "verbose", "notice", "warning"};
    if ((int)level < atomic_load_explicit(&lowest_level, memory_order_relaxed)) return;
    char line[2048];
    struct timeval now;
    struct tm utc;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ %s %s: ", (int)(now.tv_usec / 1000),
                          names[level], module);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    if (more > 0) n += (size_t)more < sizeof line - n - 1 ? (size_t)more : sizeof line - n - 2;
    line[n++] = '\n';
    /* One write per line, so that lines of several threads do not mix. */
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
