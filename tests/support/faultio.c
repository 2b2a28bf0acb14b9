/* A disk that fails, fills up, is slow, or stops the process: a library to preload into any program
 * (leat or redis-server alike), between it and the C library.
 *
 *     cc -shared -fPIC -O2 -o faultio.so faultio.c
 *     LD_PRELOAD=./faultio.so FAULTIO='sync delay_ms=10' redis-server --appendfsync always
 *
 * Read from the environment, once:
 *
 *     FAULTIO          rules, separated by `;` or new lines
 *     FAULTIO_CONTROL  a file of rules, read again at the next call after it was replaced (by
 *                      rename): for changing one's mind while the program runs
 *     FAULTIO_UNDER    only files whose path begins with this; otherwise all regular files and
 *                      directories
 *     FAULTIO_TRACE    a file that gets one line per call, when it returns:
 *                      `<number> <begin us> <end us> <call> <path> <verdict>`, where the verdict is
 *                      `ok`, the error the rules made of it, or `errno N` from the system
 *
 * A rule is a kind of call and what happens to it:
 *
 *     sync nth=3 error=EIO             the third call fails, and all after it
 *     write nth=1 count=1 error=ENOSPC the first call fails, once
 *     sync delay_ms=10000 count=1      the first call takes ten seconds longer
 *     any nth=57 kill                  SIGKILL just before the 57th call
 *     open match=journal- error=EROFS  of files with that text in their path
 *
 * Kinds: open read write sync truncate allocate rename unlink mkdir lock list, and any. `write` is
 * write, pwrite, pwritev and pwritev2 of files (sockets pass untouched); `sync` is fsync, of
 * directories too, fdatasync, and a pwritev2 that syncs, which is both. Counting begins with the
 * rules, and anew when they are replaced. A failed call does nothing. Calls that no rule can
 * concern cost next to nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call { OPEN, READ, WRITE, SYNC, TRUNCATE, ALLOCATE, RENAME, UNLINK, MKDIR, LOCK, LIST, ANY };

static const char *const call_names[] = {"open",     "read",     "write",  "sync",
                                         "truncate", "allocate", "rename", "unlink",
                                         "mkdir",    "lock",     "list",   "any"};

static const struct {
    const char *name;
    int number;
} errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
              {"EACCES", EACCES}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE},
              {"EINTR", EINTR},   {"ENOMEM", ENOMEM}, {"EFBIG", EFBIG},
              {"EPERM", EPERM},   {"ENOENT", ENOENT}, {"EOPNOTSUPP", EOPNOTSUPP}};

struct rule {
    enum call call;
    uint64_t nth, count; /* from the nth call on, so many of them */
    uint64_t seen;
    int error;
    unsigned delay_ms;
    bool kill;
    char match[128];
};

enum { RULES_MAX = 32, TEXT_MAX = 8192 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all that is below */
static struct rule rules[RULES_MAX];
static unsigned rule_count;
static unsigned concerned = ~0u; /* kinds of calls that need a look, as bits; all until set up */
static const char *under, *control;
static struct timespec control_time;
static ino_t control_inode;
static int trace_fd = -1;
static uint64_t calls;
static bool ready;
static __thread bool inside; /* our own calls are not looked at */

/* The C library's function of that name, or the next preloaded one's. */
#define NEXT(name) ((__typeof__(&name))next_function(#name))

static void *next_function(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) abort();
    return found;
}

static int64_t monotonic_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) continue;
}

/* ---- Rules ---- */

static void mistake(const char *what, const char *text)
{
    fprintf(stderr, "faultio: %s: %s\n", what, text);
    _exit(120);
}

static int find_name(const char *text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) return i;
    return -1;
}

static int error_number(const char *name)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(name, errors[i].name) == 0) return errors[i].number;
    mistake("no such error", name);
    return 0;
}

static void parse_word(struct rule *r, char *word)
{
    char *value = strchr(word, '=');
    if (value != NULL) *value++ = '\0';
    if (strcmp(word, "kill") == 0) r->kill = true;
    else if (value == NULL) mistake("a word without a value", word);
    else if (strcmp(word, "nth") == 0) r->nth = strtoull(value, NULL, 10);
    else if (strcmp(word, "count") == 0) r->count = strtoull(value, NULL, 10);
    else if (strcmp(word, "error") == 0) r->error = error_number(value);
    else if (strcmp(word, "delay_ms") == 0) r->delay_ms = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(word, "match") == 0) snprintf(r->match, sizeof r->match, "%s", value);
    else mistake("no such word", word);
}

static void parse_rule(char *line)
{
    char *at = NULL, *word = strtok_r(line, " \t\r", &at);
    if (word == NULL) return;
    if (rule_count == RULES_MAX) mistake("too many rules", word);
    struct rule *r = &rules[rule_count++];
    int call = find_name(word, call_names, ANY + 1);
    if (call < 0) mistake("no such call", word);
    *r = (struct rule){.call = (enum call)call, .nth = 1, .count = UINT64_MAX};
    while ((word = strtok_r(NULL, " \t\r", &at)) != NULL) parse_word(r, word);
    concerned |= call == ANY ? ~0u : 1u << call;
}

static void parse_rules(char *text)
{
    char *at = NULL;
    for (char *line = strtok_r(text, ";\n", &at); line; line = strtok_r(NULL, ";\n", &at))
        parse_rule(line);
}

/* Reads the control file again if it is another one than before. */
static void look_at_control(void)
{
    struct stat st;
    if (control == NULL || stat(control, &st) < 0) return;
    if (st.st_ino == control_inode && st.st_mtim.tv_sec == control_time.tv_sec &&
        st.st_mtim.tv_nsec == control_time.tv_nsec)
        return;
    control_inode = st.st_ino;
    control_time = st.st_mtim;
    static char text[TEXT_MAX];
    int fd = NEXT(open)(control, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? NEXT(pread)(fd, text, sizeof text - 1, 0) : -1;
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    rule_count = 0;
    parse_rules(text);
}

static void set_up(void)
{
    static char text[TEXT_MAX];
    ready = true;
    const char *given = getenv("FAULTIO"), *trace = getenv("FAULTIO_TRACE");
    under = getenv("FAULTIO_UNDER");
    control = getenv("FAULTIO_CONTROL");
    if (trace != NULL)
        trace_fd = NEXT(open)(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    concerned = trace != NULL || control != NULL ? ~0u : 0;
    snprintf(text, sizeof text, "%s", given != NULL ? given : "");
    parse_rules(text);
}

/* ---- One call ---- */

struct visit {
    enum call call;
    bool counts; /* it is one of those that the rules are for */
    uint64_t number;
    int64_t began_us;
    int error;
    char path[PATH_MAX];
};

/* What this call has to suffer, by all rules together. */
static void judge(struct visit *v, unsigned *ret_delay_ms, bool *ret_kill)
{
    for (unsigned i = 0; i < rule_count; i++) {
        struct rule *r = &rules[i];
        if (r->call != ANY && r->call != v->call) continue;
        if (r->match[0] != '\0' && strstr(v->path, r->match) == NULL) continue;
        r->seen++;
        if (r->seen < r->nth || r->seen - r->nth >= r->count) continue;
        if (r->error != 0) v->error = r->error;
        *ret_delay_ms += r->delay_ms;
        *ret_kill |= r->kill;
    }
}

/* True when the call is to be made. Otherwise errno says why not. */
static bool enter(struct visit *v)
{
    unsigned delay_ms = 0;
    bool kill_now = false;
    inside = true;
    pthread_mutex_lock(&lock);
    look_at_control();
    v->number = ++calls;
    judge(v, &delay_ms, &kill_now);
    pthread_mutex_unlock(&lock);
    v->began_us = monotonic_us();
    if (kill_now) kill(getpid(), SIGKILL);
    if (delay_ms > 0) sleep_ms(delay_ms);
    inside = false;
    if (v->error != 0) errno = v->error;
    return v->error == 0;
}

static void leave(const struct visit *v, bool failed)
{
    if (!v->counts || trace_fd < 0) return;
    int kept = errno;
    char line[PATH_MAX + 128], verdict[32] = "ok";
    if (v->error != 0) snprintf(verdict, sizeof verdict, "failed %d", v->error);
    else if (failed) snprintf(verdict, sizeof verdict, "errno %d", kept);
    int n = snprintf(line, sizeof line, "%llu %lld %lld %s %s %s\n", (unsigned long long)v->number,
                     (long long)v->began_us, (long long)monotonic_us(), call_names[v->call],
                     v->path, verdict);
    inside = true;
    ssize_t ignored = NEXT(write)(trace_fd, line, (size_t)n);
    (void)ignored;
    inside = false;
    errno = kept;
}

static bool is_concerned(enum call call)
{
    if (inside) return false;
    pthread_mutex_lock(&lock);
    if (!ready) set_up();
    bool yes = concerned & 1u << call;
    pthread_mutex_unlock(&lock);
    return yes;
}

static bool is_under(const char *path)
{
    return under == NULL || strncmp(path, under, strlen(under)) == 0;
}

static bool before_path(struct visit *v, enum call call, const char *path)
{
    v->counts = false;
    v->error = 0;
    if (!is_concerned(call) || !is_under(path)) return true;
    if (control != NULL && strcmp(path, control) == 0) return true;
    v->counts = true;
    v->call = call;
    snprintf(v->path, sizeof v->path, "%s", path);
    return enter(v);
}

static bool before_fd(struct visit *v, enum call call, int fd)
{
    v->counts = false;
    v->error = 0;
    if (!is_concerned(call)) return true;
    struct stat st;
    int kept = errno;
    if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
        errno = kept;
        return true;
    }
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, v->path, sizeof v->path - 1);
    v->path[n > 0 ? n : 0] = '\0';
    errno = kept;
    if (!is_under(v->path)) return true;
    v->counts = true;
    v->call = call;
    return enter(v);
}

/* ---- The functions ---- */

#define BY(before, call, what, bad, type, name, ...)                                               \
    struct visit v;                                                                                \
    type r = bad;                                                                                  \
    if (before(&v, call, what)) r = NEXT(name)(__VA_ARGS__);                                       \
    leave(&v, r == bad);                                                                           \
    return r

#define OPENER(name)                                                                               \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        mode_t mode = 0;                                                                           \
        if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {                                 \
            va_list args;                                                                          \
            va_start(args, flags);                                                                 \
            mode = va_arg(args, mode_t);                                                           \
            va_end(args);                                                                          \
        }                                                                                          \
        BY(before_path, OPEN, path, -1, int, name, path, flags, mode);                             \
    }
OPENER(open)
OPENER(open64)

#define READER(name, offset_type)                                                                  \
    ssize_t name(int fd, void *data, size_t n, offset_type offset)                                 \
    {                                                                                              \
        BY(before_fd, READ, fd, -1, ssize_t, name, fd, data, n, offset);                           \
    }
READER(pread, off_t)
READER(pread64, off64_t)

#define WRITER(name, offset_type)                                                                  \
    ssize_t name(int fd, const void *data, size_t n, offset_type offset)                           \
    {                                                                                              \
        BY(before_fd, WRITE, fd, -1, ssize_t, name, fd, data, n, offset);                          \
    }
WRITER(pwrite, off_t)
WRITER(pwrite64, off64_t)

#define VECTOR_WRITER(name, offset_type)                                                           \
    ssize_t name(int fd, const struct iovec *iov, int count, offset_type offset)                   \
    {                                                                                              \
        BY(before_fd, WRITE, fd, -1, ssize_t, name, fd, iov, count, offset);                       \
    }
VECTOR_WRITER(pwritev, off_t)
VECTOR_WRITER(pwritev64, off64_t)

/* A write that is a sync as well meets the rules for both. */
#define FLAGGED_WRITER(name, offset_type)                                                          \
    static ssize_t synced_##name(int fd, const struct iovec *iov, int count, offset_type offset,   \
                                 int flags)                                                        \
    {                                                                                              \
        BY(before_fd, SYNC, fd, -1, ssize_t, name, fd, iov, count, offset, flags);                 \
    }                                                                                              \
    ssize_t name(int fd, const struct iovec *iov, int count, offset_type offset, int flags)        \
    {                                                                                              \
        if (flags & (RWF_DSYNC | RWF_SYNC)) {                                                      \
            struct visit v;                                                                        \
            ssize_t r = -1;                                                                        \
            if (before_fd(&v, WRITE, fd)) r = synced_##name(fd, iov, count, offset, flags);        \
            leave(&v, r == -1);                                                                    \
            return r;                                                                              \
        }                                                                                          \
        BY(before_fd, WRITE, fd, -1, ssize_t, name, fd, iov, count, offset, flags);                \
    }
FLAGGED_WRITER(pwritev2, off_t)
FLAGGED_WRITER(pwritev64v2, off64_t)

ssize_t write(int fd, const void *data, size_t n)
{
    BY(before_fd, WRITE, fd, -1, ssize_t, write, fd, data, n);
}

int fsync(int fd)
{
    BY(before_fd, SYNC, fd, -1, int, fsync, fd);
}

int fdatasync(int fd)
{
    BY(before_fd, SYNC, fd, -1, int, fdatasync, fd);
}

#define TRUNCATER(name, offset_type)                                                               \
    int name(int fd, offset_type size)                                                             \
    {                                                                                              \
        BY(before_fd, TRUNCATE, fd, -1, int, name, fd, size);                                      \
    }
TRUNCATER(ftruncate, off_t)
TRUNCATER(ftruncate64, off64_t)

#define ALLOCATER(name, offset_type)                                                               \
    int name(int fd, int mode, offset_type offset, offset_type n)                                  \
    {                                                                                              \
        BY(before_fd, ALLOCATE, fd, -1, int, name, fd, mode, offset, n);                           \
    }
ALLOCATER(fallocate, off_t)
ALLOCATER(fallocate64, off64_t)

int rename(const char *from, const char *to)
{
    BY(before_path, RENAME, from, -1, int, rename, from, to);
}

int unlink(const char *path)
{
    BY(before_path, UNLINK, path, -1, int, unlink, path);
}

int mkdir(const char *path, mode_t mode)
{
    BY(before_path, MKDIR, path, -1, int, mkdir, path, mode);
}

int flock(int fd, int operation)
{
    BY(before_fd, LOCK, fd, -1, int, flock, fd, operation);
}

DIR *opendir(const char *path)
{
    BY(before_path, LIST, path, NULL, DIR *, opendir, path);
}
