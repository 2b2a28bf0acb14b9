/* INFO: sections of `field:value` lines, with the names that clients and dashboards read. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/error_stats.h"
#include "broker/internal.h"
#include "broker/retention.h"

typedef unsigned long long ull;

static void put(struct buf *out, const char *field, int64_t value)
{
    buf_printf(out, "%s:%lld\r\n", field, (long long)value);
}

static void put_text(struct buf *out, const char *field, const char *value)
{
    buf_printf(out, "%s:%s\r\n", field, value);
}

/* "1.50M", as redis-cli users read it. */
static void put_human(struct buf *out, const char *field, size_t bytes)
{
    static const char units[] = "BKMGTP";
    double n = (double)bytes;
    int unit = 0;
    while (n >= 1024 && unit < 5) {
        n /= 1024;
        unit++;
    }
    if (unit == 0) buf_printf(out, "%s:%zuB\r\n", field, bytes);
    else buf_printf(out, "%s:%.2f%c\r\n", field, n, units[unit]);
}

static void section_server(struct broker *b, struct buf *out)
{
    struct utsname os;
    char exe[4096] = "";
    int64_t uptime_s = (b->now_ms - b->started_ms) / 1000;
    uname(&os);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n > 0) exe[n] = '\0';
    put_text(out, "redis_version", REDIS_VERSION);
    put_text(out, "server_name", "leat");
    put_text(out, "leat_version", LEAT_VERSION);
    put_text(out, "redis_git_sha1", "00000000");
    put_text(out, "redis_git_dirty", "0");
    put_text(out, "redis_build_id", "0");
    put_text(out, "redis_mode", "standalone");
    buf_printf(out, "os:%s %s %s\r\n", os.sysname, os.release, os.machine);
    put(out, "arch_bits", (int64_t)sizeof(void *) * 8);
    put_text(out, "monotonic_clock", "POSIX clock_gettime");
    put_text(out, "multiplexing_api", "libevent");
    put_text(out, "gcc_version", __VERSION__);
    put(out, "process_id", getpid());
    put_text(out, "process_supervised", "no");
    put_text(out, "run_id", b->run_id);
    put(out, "tcp_port", b->settings.port);
    put(out, "server_time_usec", b->now_us);
    put(out, "uptime_in_seconds", uptime_s);
    put(out, "uptime_in_days", uptime_s / 86400);
    put(out, "hz", b->settings.hz);
    put(out, "configured_hz", b->settings.hz);
    put_text(out, "executable", exe);
    put_text(out, "config_file", "");
}

static void section_clients(struct broker *b, struct buf *out)
{
    size_t subscribers = 0, largest_in = 0, largest_out = 0;
    for (const struct session *s = b->first_session; s != NULL; s = s->next) {
        size_t in = s->port->input_bytes(s->owner), waiting = subscriber_pending(&s->subscriber);
        subscribers += session_is_subscribed(s);
        if (in > largest_in) largest_in = in;
        if (waiting > largest_out) largest_out = waiting;
    }
    put(out, "connected_clients", (int64_t)b->session_count);
    put(out, "cluster_connections", 0);
    put(out, "maxclients", b->settings.maxclients);
    put(out, "client_recent_max_input_buffer", (int64_t)largest_in);
    put(out, "client_recent_max_output_buffer", (int64_t)largest_out);
    put(out, "blocked_clients", (int64_t)b->blocked_count);
    put(out, "tracking_clients", 0);
    put(out, "pubsub_clients", (int64_t)subscribers);
    put(out, "watching_clients", (int64_t)b->watching_count);
    put(out, "clients_in_timeout_table", 0);
}

static size_t resident_bytes(void)
{
    size_t pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        /* The kernel writes numbers that fit. NOLINTNEXTLINE(cert-err34-c) */
        if (fscanf(f, "%zu %zu", &pages, &resident) != 2) resident = 0;
        fclose(f);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void section_memory(struct broker *b, struct buf *out)
{
    size_t used = mem_used(), rss = resident_bytes(), peak = mem_peak();
    size_t total = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    put(out, "used_memory", (int64_t)used);
    put_human(out, "used_memory_human", used);
    put(out, "used_memory_rss", (int64_t)rss);
    put_human(out, "used_memory_rss_human", rss);
    put(out, "used_memory_peak", (int64_t)peak);
    put_human(out, "used_memory_peak_human", peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%\r\n",
               peak ? (double)used * 100 / (double)peak : 0);
    put(out, "used_memory_overhead", 0);
    put(out, "used_memory_startup", 0);
    put(out, "used_memory_dataset", (int64_t)used);
    put(out, "total_system_memory", (int64_t)total);
    put_human(out, "total_system_memory_human", total);
    put(out, "used_memory_lua", 0);
    put(out, "maxmemory", b->settings.maxmemory);
    put_human(out, "maxmemory_human", (size_t)b->settings.maxmemory);
    put_text(out, "maxmemory_policy", "noeviction");
    buf_printf(out, "mem_fragmentation_ratio:%.2f\r\n", used ? (double)rss / (double)used : 0);
    put_text(out, "mem_allocator", "jemalloc");
    put(out, "active_defrag_running", 0);
    put(out, "lazyfree_pending_objects", (int64_t)keyspace_dying(b->ks));
}

static void section_stats(struct broker *b, struct buf *out)
{
    put(out, "total_connections_received", (int64_t)b->connections_received);
    put(out, "total_commands_processed", (int64_t)b->commands_processed);
    put(out, "instantaneous_ops_per_sec", broker_rate(b->ops_samples));
    put(out, "total_net_input_bytes", (int64_t)b->net_input);
    put(out, "total_net_output_bytes", (int64_t)b->net_output);
    buf_printf(out, "instantaneous_input_kbps:%.2f\r\n", (double)broker_rate(b->in_samples) / 1024);
    buf_printf(out, "instantaneous_output_kbps:%.2f\r\n",
               (double)broker_rate(b->out_samples) / 1024);
    put(out, "rejected_connections", (int64_t)b->rejected_connections);
    put(out, "sync_full", 0);
    put(out, "sync_partial_ok", 0);
    put(out, "sync_partial_err", 0);
    put(out, "expired_keys", (int64_t)b->expired_keys);
    buf_printf(out, "expired_stale_perc:0.00\r\n");
    put(out, "expired_time_cap_reached_count", 0);
    put(out, "evicted_keys", 0);
    put(out, "evicted_clients", 0);
    put(out, "keyspace_hits", (int64_t)b->keyspace_hits);
    put(out, "keyspace_misses", (int64_t)b->keyspace_misses);
    put(out, "pubsub_channels", (int64_t)hub_channels(b->hub));
    put(out, "pubsub_patterns", (int64_t)hub_topics(b->hub, TOPIC_PATTERN));
    put(out, "pubsubshard_channels", (int64_t)hub_topics(b->hub, TOPIC_SHARD));
    put(out, "latest_fork_usec", 0);
    put(out, "total_forks", 0);
    put(out, "migrate_cached_sockets", 0);
    put(out, "total_error_replies", (int64_t)b->errors_replied);
    put(out, "total_reads_processed", (int64_t)b->reads);
    put(out, "total_writes_processed", (int64_t)b->writes);
    put(out, "client_output_buffer_limit_disconnections", (int64_t)b->output_limit_closes);
}

static void section_replication(struct broker *b, struct buf *out)
{
    put_text(out, "role", "master");
    put(out, "connected_slaves", 0);
    put_text(out, "master_failover_state", "no-failover");
    put_text(out, "master_replid", b->run_id);
    put_text(out, "master_replid2", "0000000000000000000000000000000000000000");
    put(out, "master_repl_offset", b->loading ? 0 : (int64_t)journal_head(b->journal));
    put(out, "second_repl_offset", -1);
    put(out, "repl_backlog_active", 0);
    put(out, "repl_backlog_size", 0);
    put(out, "repl_backlog_first_byte_offset", 0);
    put(out, "repl_backlog_histlen", 0);
}

static void put_time(struct buf *out, const char *field, struct timeval t)
{
    buf_printf(out, "%s:%lld.%06lld\r\n", field, (long long)t.tv_sec, (long long)t.tv_usec);
}

static void section_cpu(struct broker *b, struct buf *out)
{
    struct rusage self, children, thread;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread);
    put_time(out, "used_cpu_sys", self.ru_stime);
    put_time(out, "used_cpu_user", self.ru_utime);
    put_time(out, "used_cpu_sys_children", children.ru_stime);
    put_time(out, "used_cpu_user_children", children.ru_utime);
    put_time(out, "used_cpu_sys_main_thread", thread.ru_stime);
    put_time(out, "used_cpu_user_main_thread", thread.ru_utime);
}

static void section_modules(struct broker *b, struct buf *out) {}

static void section_commandstats(struct broker *b, struct buf *out)
{
    for (size_t i = 0; i < command_count(); i++) {
        const struct command_stats *s = &b->stats[i];
        if (s->calls == 0 && s->rejected == 0 && s->failed == 0) continue;
        buf_printf(out,
                   "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,"
                   "failed_calls=%llu\r\n",
                   command_at(i)->name, (ull)s->calls, (ull)s->usec,
                   s->calls ? (double)s->usec / (double)s->calls : 0, (ull)s->rejected,
                   (ull)s->failed);
    }
}

static void section_errorstats(struct broker *b, struct buf *out)
{
    struct map_iter it;
    struct error_stat *e;
    map_iter_init(&it, &b->error_stats);
    while ((e = map_iter_next(&it)) != NULL)
        buf_printf(out, "errorstat_%.*s:count=%llu\r\n", (int)e->len, e->code, (ull)e->count);
    map_iter_fini(&it);
}

static void section_cluster(struct broker *b, struct buf *out)
{
    put(out, "cluster_enabled", 0);
}

static int64_t average_ttl_ms(struct broker *b, int db)
{
    struct key *first = keyspace_first_to_expire(b->ks, db);
    return first == NULL || first->expire_at_ms < b->now_ms ? 0 : first->expire_at_ms - b->now_ms;
}

static void section_keyspace(struct broker *b, struct buf *out)
{
    for (int db = 0; db < KEYSPACE_DBS && !b->loading; db++) {
        if (keyspace_count(b->ks, db) == 0) continue;
        buf_printf(out, "db%d:keys=%zu,expires=%zu,avg_ttl=%lld\r\n", db, keyspace_count(b->ks, db),
                   keyspace_count_expiring(b->ks, db), (long long)average_ttl_ms(b, db));
    }
}

static void section_streams(struct broker *b, struct buf *out)
{
    struct stream_store_stats stats;
    if (b->loading) return; /* another thread's until then */
    stream_store_stats(b->streams, &stats);
    buf_printf(out,
               "stream_open_bytes:%llu\r\nstream_sealing_bytes:%llu\r\nstream_cached_bytes:%llu\r\n"
               "stream_loads:%llu\r\n",
               (unsigned long long)stats.open_bytes, (unsigned long long)stats.sealing_bytes,
               (unsigned long long)stats.cached_bytes, (unsigned long long)stats.loads);
    retention_info(b, out);
}

static const struct section {
    const char *name, *title;
    void (*write)(struct broker *b, struct buf *out);
    bool by_default;
} sections[] = {
    {"server", "Server", section_server, true},
    {"clients", "Clients", section_clients, true},
    {"memory", "Memory", section_memory, true},
    {"persistence", "Persistence", broker_info_persistence, true},
    {"stats", "Stats", section_stats, true},
    {"replication", "Replication", section_replication, true},
    {"cpu", "CPU", section_cpu, true},
    {"modules", "Modules", section_modules, true},
    {"commandstats", "Commandstats", section_commandstats, false},
    {"errorstats", "Errorstats", section_errorstats, true},
    {"cluster", "Cluster", section_cluster, true},
    {"streams", "Streams", section_streams, true},
    {"keyspace", "Keyspace", section_keyspace, true},
};

static bool is_wanted(const struct section *s, const struct bytes *names, size_t count)
{
    if (count == 0) return s->by_default;
    for (size_t i = 0; i < count; i++) {
        if (bytes_is_word(names[i], s->name) || bytes_is_word(names[i], "all") ||
            bytes_is_word(names[i], "everything"))
            return true;
        if (bytes_is_word(names[i], "default") && s->by_default) return true;
    }
    return false;
}

void broker_info(struct broker *b, const struct bytes *names, size_t count, struct buf *out)
{
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (!is_wanted(&sections[i], names, count)) continue;
        buf_printf(out, "%s# %s\r\n", out->len ? "\r\n" : "", sections[i].title);
        sections[i].write(b, out);
    }
}
