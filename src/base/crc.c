/* CRC32C by isa-l, which uses the processor's instructions where there are any. Its crc32_iscsi()
 * neither complements the register before nor after, so both are done here; that way a checksum of
 * 0 begins and any checksum continues. */
#include "base/crc.h"

#include <isa-l/crc.h>

/* isa-l counts in int. */
enum { PIECE_MAX = 1 << 30 };

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
    unsigned char *at = (unsigned char *)(uintptr_t)data; /* only read */
    uint32_t state = ~crc;
    while (n > 0) {
        size_t piece = n < PIECE_MAX ? n : PIECE_MAX;
        state = crc32_iscsi(at, (int)piece, state);
        at += piece;
        n -= piece;
    }
    return ~state;
}
