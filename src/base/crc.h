/* CRC32C (Castagnoli), as in RFC 3720 section 12.1: crc32c(0, "123456789") is 0xe3069283. */
#ifndef LEAT_BASE_CRC_H
#define LEAT_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Continues from `crc` (0 to begin). */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

#endif
