#include "keys/reaper.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/must.h"

struct job {
    struct job *next;
    void (*free_item)(void *item);
    void *item;
};

struct reaper {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    bool running; /* the owner's alone */

    struct job *first, *last; /* under the lock, as is stopping */
    bool stopping;
    atomic_size_t pending;
};

struct reaper *reaper_new(void)
{
    struct reaper *r = mem_calloc(sizeof *r);
    must(pthread_mutex_init(&r->lock, NULL) == 0);
    must(pthread_cond_init(&r->work, NULL) == 0);
    return r;
}

/* NULL at the end. */
static struct job *wait_for_job(struct reaper *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->first == NULL && !r->stopping) pthread_cond_wait(&r->work, &r->lock);
    struct job *job = r->first;
    if (job != NULL) r->first = job->next;
    if (r->first == NULL) r->last = NULL;
    pthread_mutex_unlock(&r->lock);
    return job;
}

static void do_job(struct reaper *r, struct job *job)
{
    job->free_item(job->item);
    mem_free(job);
    atomic_fetch_sub(&r->pending, 1);
}

static void *reap(void *arg)
{
    struct reaper *r = arg;
    struct job *job;
    while ((job = wait_for_job(r)) != NULL) do_job(r, job);
    return NULL;
}

/* Signals are the other threads' business. */
static bool start(struct reaper *r)
{
    sigset_t all, before;
    if (r->running) return true;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    r->running = pthread_create(&r->thread, NULL, reap, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r->running;
}

void reaper_take(struct reaper *r, void (*free_item)(void *item), void *item)
{
    struct job *job = mem_alloc(sizeof *job);
    *job = (struct job){.free_item = free_item, .item = item};
    atomic_fetch_add(&r->pending, 1);
    if (!start(r)) {
        do_job(r, job);
        return;
    }
    pthread_mutex_lock(&r->lock);
    if (r->last != NULL) r->last->next = job;
    else r->first = job;
    r->last = job;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

size_t reaper_pending(const struct reaper *r)
{
    return atomic_load(&r->pending);
}

void reaper_free(struct reaper *r)
{
    if (r == NULL) return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    if (r->running) must(pthread_join(r->thread, NULL) == 0);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->work);
    mem_free(r);
}
