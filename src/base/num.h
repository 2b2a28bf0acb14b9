/* Numbers in text, to the letter as Redis reads and writes them. */
#ifndef LEAT_BASE_NUM_H
#define LEAT_BASE_NUM_H

#include "base/bytes.h"

/* Strict: optional '-', digits without leading zeros (but "0"), whole range, nothing else. */
bool num_parse_i64(struct bytes text, int64_t *ret);
bool num_parse_u64(struct bytes text, uint64_t *ret);
/* Decimal, hex or exponent form, inf/-inf/+inf/infinity in any case; no space, no NaN, whole text.
 */
bool num_parse_double(struct bytes text, double *ret);
/* As Redis reads the bounds of ZRANGEBYSCORE and its kin, laxer than numbers elsewhere: leading
 * space is skipped, "" is 0, what follows a zero byte is ignored, 1e400 is inf. The "(" is the
 * caller's. */
bool num_parse_score_bound(struct bytes text, double *ret);
/* As num_parse_double, but into the 80-bit type that INCRBYFLOAT computes with; at most
 * NUM_DOUBLE_MAX - 1 bytes. */
bool num_parse_long_double(struct bytes text, long double *ret);

enum { NUM_I64_MAX = 21, NUM_DOUBLE_MAX = 5 * 1024 };
/* Each returns the length written, no terminator. */
size_t num_format_i64(char *out, int64_t n); /* out holds NUM_I64_MAX */
/* The shortest decimal that reads back as the same number, integers without an exponent, "inf",
 * "-inf", "nan": scores since Redis 7.2 (redis/redis pull request 10587). out holds 128. */
size_t num_format_double(char *out, double d);
/* %.17g: scores until 7.0, and in 7.2 still those of a large sorted set in ZSCAN. out holds 128. */
size_t num_format_double_17(char *out, double d);
/* %.17Lf with trailing zeros cut: INCRBYFLOAT, HINCRBYFLOAT. out holds NUM_DOUBLE_MAX */
size_t num_format_long_double(char *out, long double d);

#endif
