/* Room for the snapshot that a full disk needs: only snapshots let segments and chunk files go, so
 * there must be room for one when there is none for anything else.
 *
 * The room is a file of its own, set aside in advance. A snapshot that needs it is written into
 * that very file, which takes its name in the end: so nobody else can take the room meanwhile. */
#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"
#include "log/segment.h"
#include "log/snapshot.h"

enum { RESERVE_MIN = 1 << 20, RESERVE_MAX = 64 << 20 };

static const char reserve_name[] = "reserve.bin";

/* Sets the space aside. What there is already stays when there cannot be more of it. */
static int allocate_room(const struct file_layer *files, const char *path, uint64_t size)
{
    uint64_t length, allocated = 0;
    int fd = files->open(files->ctx, path, O_RDWR | O_CREAT, 0600);
    if (fd < 0) return fd;
    int r = files->allocate(files->ctx, fd, 0, size);
    if (r == -EOPNOTSUPP) r = 0;
    if (r < 0) files->measure(files->ctx, fd, &length, &allocated);
    files->close(files->ctx, fd);
    if (r < 0 && allocated < RESERVE_MIN) files->unlink(files->ctx, path);
    return r;
}

bool snapshot_make_reserve(const struct file_layer *files, const char *dir, uint64_t last_size)
{
    uint64_t size = last_size + last_size / 4;
    if (size < RESERVE_MIN) size = RESERVE_MIN;
    if (size > RESERVE_MAX) size = RESERVE_MAX;
    if (files == NULL) files = &file_layer_real;
    char *path = path_join(dir, reserve_name);
    int r = allocate_room(files, path, size);
    mem_free(path);
    return r >= 0;
}

int snapshot_take_reserve(const struct file_layer *files, const char *dir, const char *as)
{
    char *path = path_join(dir, reserve_name);
    int r = files->rename(files->ctx, path, as);
    mem_free(path);
    return r;
}
