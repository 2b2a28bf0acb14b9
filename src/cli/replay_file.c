/* Reads a file whole, decompressed by liblzma where it is an .xz file. */
#include "cli/replay_file.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>

enum { PIECE = 256 * 1024 };

static const char xz_magic[] = {(char)0xfd, '7', 'z', 'X', 'Z', 0};
static const char gzip_magic[] = {0x1f, (char)0x8b};

static int read_all(FILE *f, struct buf *out)
{
    size_t n;
    do {
        n = fread(buf_reserve(out, PIECE), 1, PIECE, f);
        out->len += n;
    } while (n > 0);
    return ferror(f) ? -1 : 0;
}

static bool begins_with(const struct buf *b, const char *magic, size_t n)
{
    return b->len >= n && memcmp(b->data, magic, n) == 0;
}

static int decompress(const struct buf *in, struct buf *out)
{
    lzma_stream z = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&z, 1ULL << 30, LZMA_CONCATENATED) != LZMA_OK) return -1;
    z.next_in = (const uint8_t *)in->data;
    z.avail_in = in->len;
    lzma_ret rc;
    do {
        z.next_out = (uint8_t *)buf_reserve(out, PIECE);
        z.avail_out = PIECE;
        rc = lzma_code(&z, LZMA_FINISH);
        out->len += PIECE - z.avail_out;
    } while (rc == LZMA_OK);
    lzma_end(&z);
    return rc == LZMA_STREAM_END ? 0 : -1;
}

int replay_file_read(const char *path, struct buf *out, struct buf *error)
{
    bool standard = strcmp(path, "-") == 0;
    struct buf raw = {0};
    FILE *f = standard ? stdin : fopen(path, "rb");
    int rc = f != NULL ? read_all(f, &raw) : -1;
    if (rc != 0) buf_printf(error, "%s cannot be read: %s", path, strerror(errno));
    if (f != NULL && !standard) fclose(f);
    if (rc == 0 && begins_with(&raw, xz_magic, sizeof xz_magic)) {
        rc = decompress(&raw, out);
        if (rc != 0) buf_printf(error, "%s is damaged: it begins like an .xz file", path);
    } else if (rc == 0 && begins_with(&raw, gzip_magic, sizeof gzip_magic)) {
        rc = -1;
        buf_printf(error, "%s is compressed by gzip; pipe it: zcat %s | leat replay -", path, path);
    } else if (rc == 0) {
        buf_put(out, buf_bytes(&raw));
    }
    buf_fini(&raw);
    return rc;
}
