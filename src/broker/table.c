/* All families' tables as one, found by name in any case. Built once, at first use. */
#include "broker/command.h"

#include "base/must.h"
#include "base/num.h"

static const struct command *const families[] = {
    cmd_connection,  cmd_client,      cmd_server,      cmd_command,       cmd_config,
    cmd_keys,        cmd_expire,      cmd_string,      cmd_hash,          cmd_set,
    cmd_zset,        cmd_zset_range,  cmd_zset_ops,    cmd_multi,         cmd_persist,
    cmd_pubsub,      cmd_blocking,    cmd_list,        cmd_list_blocking, cmd_script,
    cmd_stream,      cmd_stream_read, cmd_stream_info, cmd_stream_retain, cmd_stream_idmp,
    cmd_stream_refs, cmd_group,       cmd_group_read,  cmd_group_pending, cmd_group_claim,
};

enum { FAMILIES = sizeof families / sizeof *families, SLOTS = 1024, COMMANDS_MAX = 400 };

static const struct command *all[COMMANDS_MAX];
static uint8_t lengths[COMMANDS_MAX]; /* of their names */
static size_t first_index[FAMILIES];  /* of each family's first row in `all` */
static uint16_t count;
static uint16_t slots[SLOTS]; /* 0: free; else index + 1 */

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* FNV-1a over the lower-cased name: the names are ours, nobody can make them collide. */
static uint32_t name_hash(struct bytes name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.len; i++) h = (h ^ lower(name.data[i])) * 16777619u;
    return h ^ (h >> 15);
}

static void build(void)
{
    for (size_t f = 0; f < FAMILIES; f++) {
        first_index[f] = count;
        for (const struct command *cmd = families[f]; cmd->name != NULL; cmd++) {
            must(count < COMMANDS_MAX);
            uint32_t at = name_hash(bytes_of(cmd->name)) % SLOTS;
            while (slots[at] != 0) {
                must(strcmp(all[slots[at] - 1]->name, cmd->name) != 0);
                at = (at + 1) % SLOTS;
            }
            lengths[count] = (uint8_t)strlen(cmd->name);
            all[count++] = cmd;
            slots[at] = count;
        }
    }
}

static struct bytes name_at(size_t index)
{
    return (struct bytes){all[index]->name, lengths[index]};
}

static size_t find(struct bytes name)
{
    if (count == 0) build();
    uint32_t at = name_hash(name) % SLOTS;
    for (; slots[at] != 0; at = (at + 1) % SLOTS)
        if (bytes_eq_nocase(name, name_at(slots[at] - 1u))) return slots[at];
    return 0;
}

const struct command *command_find(struct bytes name)
{
    size_t found = find(name);
    return found == 0 ? NULL : all[found - 1];
}

const struct command *command_find_sub(const struct command *parent, struct bytes name)
{
    for (const struct command *sub = parent->subcommands; sub != NULL && sub->name != NULL; sub++)
        if (bytes_is_word(name, sub->name)) return sub;
    return NULL;
}

size_t command_count(void)
{
    if (count == 0) build();
    return count;
}

const struct command *command_at(size_t i)
{
    must(i < command_count());
    return all[i];
}

/* A family's rows are one array and stand in `all` in one run: its place there is its distance. */
size_t command_index(const struct command *top_level)
{
    static _Thread_local size_t last; /* the family asked for last: mostly it is that one again */
    must(count > 0);
    for (size_t i = 0, f = last; i < FAMILIES; i++, f = f + 1 < FAMILIES ? f + 1 : 0) {
        size_t rows = (f + 1 < FAMILIES ? first_index[f + 1] : count) - first_index[f];
        if (top_level < families[f] || top_level >= families[f] + rows) continue;
        last = f;
        return first_index[f] + (size_t)(top_level - families[f]);
    }
    must(!"a command outside of all tables");
    return 0;
}

static int numbered_keys(const struct command *cmd, const struct bytes *argv, size_t argc, int *ret,
                         int max)
{
    int64_t n;
    int found = 0;
    if ((size_t)cmd->first_key >= argc || !num_parse_i64(argv[cmd->first_key], &n) || n <= 0 ||
        n > (int64_t)argc - cmd->first_key - 1)
        return -1;
    if (cmd->first_key > 1 && cmd->last_key == 1) { /* a destination before the count */
        if (found < max) ret[found] = 1;
        found++;
    }
    for (int64_t i = 0; i < n; i++, found++)
        if (found < max) ret[found] = cmd->first_key + 1 + (int)i;
    return found;
}

/* An odd number of arguments makes no sense, but Redis answers the smaller half. */
static int streams_keys(const struct command *cmd, const struct bytes *argv, size_t argc, int *ret,
                        int max)
{
    size_t at = (size_t)cmd->first_key;
    while (at < argc && !bytes_is_word(argv[at], "streams")) at++;
    if (at + 1 >= argc) return -1;
    int found = 0;
    for (size_t n = (argc - at - 1) / 2; (size_t)found < n; found++)
        if (found < max) ret[found] = (int)at + 1 + found;
    return found;
}

int command_keys(const struct command *cmd, const struct bytes *argv, size_t argc, int *ret,
                 int max)
{
    if (cmd->key_positions == KEYS_NUMBERED) return numbered_keys(cmd, argv, argc, ret, max);
    if (cmd->key_positions == KEYS_STREAMS) return streams_keys(cmd, argv, argc, ret, max);
    if (cmd->first_key == 0 || cmd->key_positions == KEYS_CHANNELS) return 0;
    int last = cmd->last_key < 0 ? (int)argc + cmd->last_key : cmd->last_key;
    int found = 0;
    for (int i = cmd->first_key; i <= last && i < (int)argc; i += cmd->key_step, found++)
        if (found < max) ret[found] = i;
    return found;
}
