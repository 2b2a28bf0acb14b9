/* Redis reads floating-point numbers by the C library's strtod and strtold, and so do we, after
 * the checks that it makes; plain decimals, which are nearly all, take a short way that gives the
 * same result. */
#include "base/num.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"

/* Digits without leading zeros, at most `max`. */
static bool parse_digits(const char *at, size_t len, uint64_t max, uint64_t *ret)
{
    if (len == 0 || len > 20 || (at[0] == '0' && len > 1)) return false;
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)at[i] - (unsigned)'0';
        if (digit > 9) return false;
        if (n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    if (n > max) return false;
    *ret = n;
    return true;
}

bool num_parse_u64(struct bytes text, uint64_t *ret)
{
    return parse_digits(text.data, text.len, UINT64_MAX, ret);
}

bool num_parse_i64(struct bytes text, int64_t *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t n;
    if (!parse_digits(text.data + negative, text.len - negative,
                      (uint64_t)INT64_MAX + (negative ? 1 : 0), &n))
        return false;
    if (negative && n == 0) return false;
    *ret = (int64_t)(negative ? -n : n);
    return true;
}

/* [+-]digits[.digits] with at most 15 digits in all: both the digits as an integer and the power of
 * ten are exact doubles, so one division rounds correctly. */
static bool parse_plain_decimal(struct bytes text, double *ret)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t i = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    size_t digits = 0, fraction = 0;
    bool point = false;
    int64_t n = 0;
    if (text.len > 17) return false;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
        if (digit <= 9) {
            n = n * 10 + digit;
            digits++;
            fraction += point;
        } else if (text.data[i] == '.' && !point) {
            point = true;
        } else {
            return false;
        }
    }
    if (digits == 0 || digits > 15) return false;
    double d = (double)n / powers[fraction];
    *ret = text.data[0] == '-' ? -d : d;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The text with a terminator: in `room` (of `size` bytes) where it fits, else allocated. */
static char *terminated(struct bytes text, char *room, size_t size)
{
    char *copy = text.len < size ? room : mem_alloc(text.len + 1);
    if (text.len > 0) memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

bool num_parse_double(struct bytes text, double *ret)
{
    if (parse_plain_decimal(text, ret)) return true;
    if (text.len == 0 || is_space(text.data[0])) return false;
    char room[256], *end;
    char *copy = terminated(text, room, sizeof room);
    errno = 0;
    double d = strtod(copy, &end);
    bool whole = (size_t)(end - copy) == text.len;
    /* A subnormal result sets ERANGE too, but is a number like any other. */
    bool range = errno == ERANGE && (isinf(d) || d == 0);
    if (copy != room) mem_free(copy);
    if (!whole || range || isnan(d)) return false;
    *ret = d;
    return true;
}

bool num_parse_score_bound(struct bytes text, double *ret)
{
    if (parse_plain_decimal(text, ret)) return true;
    char room[256], *end;
    char *copy = terminated(text, room, sizeof room);
    double d = strtod(copy, &end);
    bool whole = *end == '\0';
    if (copy != room) mem_free(copy);
    if (!whole || isnan(d)) return false;
    *ret = d;
    return true;
}

bool num_parse_long_double(struct bytes text, long double *ret)
{
    char room[NUM_DOUBLE_MAX], *end;
    if (text.len == 0 || text.len >= sizeof room || is_space(text.data[0])) return false;
    memcpy(room, text.data, text.len);
    room[text.len] = '\0';
    errno = 0;
    long double d = strtold(room, &end);
    if ((size_t)(end - room) != text.len || isnan(d)) return false;
    if (errno == ERANGE && (isinf(d) || d == 0)) return false;
    *ret = d;
    return true;
}

size_t num_format_i64(char *out, int64_t n)
{
    char digits[20];
    size_t len = 0, at = 0;
    uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do digits[len++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (n < 0) out[at++] = '-';
    while (len > 0) out[at++] = digits[--len];
    return at;
}

static size_t put_word(char *out, const char *word)
{
    size_t n = strlen(word);
    memcpy(out, word, n);
    return n;
}

size_t num_format_double_17(char *out, double d)
{
    if (isnan(d)) return put_word(out, "nan");
    if (isinf(d)) return put_word(out, d < 0 ? "-inf" : "inf");
    /* %.17g shows integers of up to 17 digits as they are; "-0" is left to it. */
    if (d > -1e17 && d < 1e17 && d == (double)(int64_t)d && (d != 0 || !signbit(d)))
        return num_format_i64(out, (int64_t)d);
    int n = snprintf(out, 128, "%.17g", d);
    must(n > 0 && n < 128);
    return (size_t)n;
}

/* The same for a number of few decimals, which most are: n / 10^k, rounded once, is what "n.k
 * digits" reads back as, and below 10^15 there is no shorter text for it. 0 when it is none of
 * these. */
static int few_decimals(double d, char *digits, int *ret_exponent)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    for (int k = 1; k < (int)(sizeof powers / sizeof *powers) && d * powers[k] < 1e15; k++) {
        int64_t n = (int64_t)(d * powers[k] + 0.5);
        if ((double)n / powers[k] != d) continue;
        int len = (int)num_format_i64(digits, n);
        *ret_exponent = len - 1 - k;
        return len;
    }
    return 0;
}

/* The fewest significant digits that read back as the same number, without point or exponent:
 * 15 are enough for most, 17 for all. Returns how many; *ret_exponent is that of the first. */
static int shortest_digits(double d, char *digits, int *ret_exponent)
{
    char text[32];
    /* Subnormal numbers have fewer than 15 significant ones. */
    for (int precision = d < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, d);
        if (strtod(text, NULL) == d) break;
    }
    const char *e = strchr(text, 'e');
    int n = 0;
    for (const char *c = text; c < e; c++)
        if (*c != '.') digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0') n--;
    *ret_exponent = (int)strtol(e + 1, NULL, 10);
    return n;
}

/* "123", "1.23", "0.00123", "12300" or "1.23e-7": what is shortest to read, as Redis 7.2 lays it
 * out. */
static size_t lay_out_digits(char *out, const char *digits, int n, int exponent)
{
    int zeros = exponent - n + 1; /* behind the digits, where positive */
    if (zeros >= 0 && exponent < n + 7) {
        memcpy(out, digits, (size_t)n);
        memset(out + n, '0', (size_t)zeros);
        return (size_t)n + (size_t)zeros;
    }
    if (exponent >= 0 && zeros < 0) {
        memcpy(out, digits, (size_t)exponent + 1);
        out[exponent + 1] = '.';
        memcpy(out + exponent + 2, digits + exponent + 1, (size_t)(n - exponent - 1));
        return (size_t)n + 1;
    }
    if (exponent < 0 && (zeros > -7 || exponent > -4)) {
        int lead = -exponent - 1;
        memcpy(out, "0.", 2);
        memset(out + 2, '0', (size_t)lead);
        memcpy(out + 2 + lead, digits, (size_t)n);
        return 2 + (size_t)lead + (size_t)n;
    }
    size_t len = 0;
    out[len++] = digits[0];
    if (n > 1) {
        out[len++] = '.';
        memcpy(out + len, digits + 1, (size_t)n - 1);
        len += (size_t)n - 1;
    }
    return len + (size_t)sprintf(out + len, "e%+d", exponent);
}

size_t num_format_double(char *out, double d)
{
    char digits[32];
    int exponent;
    size_t sign = 0;
    if (isnan(d) || isinf(d) || d == 0 || (d > -1e17 && d < 1e17 && d == (double)(int64_t)d))
        return num_format_double_17(out, d);
    if (d < 0) {
        out[sign++] = '-';
        d = -d;
    }
    int n = few_decimals(d, digits, &exponent);
    if (n == 0) n = shortest_digits(d, digits, &exponent);
    return sign + lay_out_digits(out + sign, digits, n, exponent);
}

size_t num_format_long_double(char *out, long double d)
{
    if (isnan(d)) return put_word(out, "nan");
    if (isinf(d)) return put_word(out, d < 0 ? "-inf" : "inf");
    int n = snprintf(out, NUM_DOUBLE_MAX, "%.17Lf", d);
    must(n > 0 && n < NUM_DOUBLE_MAX);
    while (out[n - 1] == '0') n--;
    if (out[n - 1] == '.') n--;
    if (n == 2 && out[0] == '-' && out[1] == '0') return put_word(out, "0");
    return (size_t)n;
}
