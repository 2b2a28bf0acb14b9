/* Assertions, always on. `must` states what this code itself guarantees; it is never used on bytes
 * that came from a socket or a disk. */
#ifndef LEAT_BASE_MUST_H
#define LEAT_BASE_MUST_H

/* Says where and what on standard error, and aborts. */
_Noreturn void must_fail(const char *file, int line, const char *what);

#define must(condition)                                                                            \
    (__builtin_expect(!(condition), 0) ? must_fail(__FILE__, __LINE__, #condition) : (void)0)

#endif
