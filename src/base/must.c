/* Where every broken promise of our own ends. */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "leat: bug: %s:%d: %s does not hold\n", file, line, what);
    fflush(stderr);
    abort();
}
