#include "broker/key_specs.h"

enum use {
    RW = 1 << 0, /* reads, and writes what depends on what was there */
    RO = 1 << 1,
    OW = 1 << 2, /* overwrites without looking */
    RM = 1 << 3,
    ACCESS = 1 << 4, /* answers, or copies, the value or a part of it */
    UPDATE = 1 << 5,
    INSERT = 1 << 6,
    DELETE = 1 << 7,
    VARIABLE = 1 << 8, /* depends on the other arguments */
    NOT_KEY = 1 << 9,  /* a channel */
};

static const char *const use_names[] = {
    "RW", "RO", "OW", "RM", "access", "update", "insert", "delete", "variable_flags", "not_key"};

enum { USES = sizeof use_names / sizeof *use_names };

/* Where it is not "RO access" for what only reads, and "RW update" for what writes. `rest` is for
 * the keys behind the first; 0: as the first. */
/* clang-format off */
static const struct key_use {
    const char *name;
    unsigned first, rest;
} uses[] = {
    {"append", RW | INSERT, 0},
    {"blmove", RW | ACCESS | DELETE, RW | INSERT},
    {"blmpop", RW | ACCESS | DELETE, 0},
    {"blpop", RW | ACCESS | DELETE, 0},
    {"brpop", RW | ACCESS | DELETE, 0},
    {"brpoplpush", RW | ACCESS | DELETE, RW | INSERT},
    {"bzmpop", RW | ACCESS | DELETE, 0},
    {"bzpopmax", RW | ACCESS | DELETE, 0},
    {"bzpopmin", RW | ACCESS | DELETE, 0},
    {"copy", RO | ACCESS, OW | UPDATE},
    {"create", RW | INSERT, 0},
    {"createconsumer", RW | INSERT, 0},
    {"decr", RW | ACCESS | UPDATE, 0},
    {"decrby", RW | ACCESS | UPDATE, 0},
    {"del", RM | DELETE, 0},
    {"delconsumer", RW | DELETE, 0},
    {"destroy", RW | DELETE, 0},
    {"encoding", RO, 0},
    {"eval", RW | ACCESS | UPDATE, 0},
    {"evalsha", RW | ACCESS | UPDATE, 0},
    {"exists", RO, 0},
    {"freq", RO, 0},
    {"getdel", RW | ACCESS | DELETE, 0},
    {"getex", RW | ACCESS | UPDATE, 0},
    {"getset", RW | ACCESS | UPDATE, 0},
    {"hdel", RW | DELETE, 0},
    {"hexists", RO, 0},
    {"hincrby", RW | ACCESS | UPDATE, 0},
    {"hincrbyfloat", RW | ACCESS | UPDATE, 0},
    {"hlen", RO, 0},
    {"hsetnx", RW | INSERT, 0},
    {"hstrlen", RO, 0},
    {"idletime", RO, 0},
    {"incr", RW | ACCESS | UPDATE, 0},
    {"incrby", RW | ACCESS | UPDATE, 0},
    {"incrbyfloat", RW | ACCESS | UPDATE, 0},
    {"linsert", RW | INSERT, 0},
    {"llen", RO, 0},
    {"lmove", RW | ACCESS | DELETE, RW | INSERT},
    {"lmpop", RW | ACCESS | DELETE, 0},
    {"lpop", RW | ACCESS | DELETE, 0},
    {"lpush", RW | INSERT, 0},
    {"lpushx", RW | INSERT, 0},
    {"lrem", RW | DELETE, 0},
    {"ltrim", RW | DELETE, 0},
    {"move", RW | ACCESS | UPDATE, 0},
    {"mset", OW | UPDATE, 0},
    {"msetnx", OW | INSERT, 0},
    {"psetex", OW | UPDATE, 0},
    {"refcount", RO, 0},
    {"rename", RW | ACCESS | DELETE, OW | UPDATE},
    {"renamenx", RW | ACCESS | DELETE, OW | INSERT},
    {"replaceconsumer", RW | DELETE, 0},
    {"rpop", RW | ACCESS | DELETE, 0},
    {"rpoplpush", RW | ACCESS | DELETE, RW | INSERT},
    {"rpush", RW | INSERT, 0},
    {"rpushx", RW | INSERT, 0},
    {"sadd", RW | INSERT, 0},
    {"scard", RO, 0},
    {"sdiffstore", OW | UPDATE, RO | ACCESS},
    {"set", RW | ACCESS | UPDATE | VARIABLE, 0},
    {"setex", OW | UPDATE, 0},
    {"setnx", OW | INSERT, 0},
    {"sinterstore", RW | UPDATE, RO | ACCESS},
    {"sismember", RO, 0},
    {"smove", RW | ACCESS | DELETE, RW | INSERT},
    {"spop", RW | ACCESS | DELETE, 0},
    {"srem", RW | DELETE, 0},
    {"strlen", RO, 0},
    {"sunionstore", OW | UPDATE, RO | ACCESS},
    {"touch", RO, 0},
    {"type", RO, 0},
    {"unlink", RM | DELETE, 0},
    {"usage", RO, 0},
    {"watch", RO, 0},
    {"xackdel", RW | UPDATE | DELETE, 0},
    {"xautoclaim", RW | DELETE, 0},
    {"xdel", RW | DELETE, 0},
    {"xdelex", RW | DELETE, 0},
    {"xlen", RO, 0},
    {"xreadgroup", RO | ACCESS, 0},
    {"xtrim", RW | DELETE, 0},
    {"zcard", RO, 0},
    {"zdiffstore", OW | UPDATE, RO | ACCESS},
    {"zincrby", RW | ACCESS | UPDATE, 0},
    {"zinterstore", OW | UPDATE, RO | ACCESS},
    {"zmpop", RW | ACCESS | DELETE, 0},
    {"zpopmax", RW | ACCESS | DELETE, 0},
    {"zpopmin", RW | ACCESS | DELETE, 0},
    {"zrangestore", OW | UPDATE, RO | ACCESS},
    {"zrem", RW | DELETE, 0},
    {"zremrangebylex", RW | DELETE, 0},
    {"zremrangebyrank", RW | DELETE, 0},
    {"zremrangebyscore", RW | DELETE, 0},
    {"zunionstore", OW | UPDATE, RO | ACCESS},
};
/* clang-format on */

static struct key_use use_of(const struct command *cmd)
{
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
        if (strcmp(uses[i].name, cmd->name) == 0) return uses[i];
    if (cmd->key_positions == KEYS_CHANNELS) return (struct key_use){.first = NOT_KEY};
    return (struct key_use){.first = cmd->flags & CMD_WRITE ? RW | UPDATE : RO | ACCESS};
}

static void put_flags(struct resp_writer *w, unsigned flags)
{
    resp_set(w, (size_t)__builtin_popcount(flags));
    for (int i = 0; i < USES; i++)
        if (flags & 1u << i) resp_simple(w, use_names[i]);
}

static void put_field(struct resp_writer *w, const char *name, int n)
{
    resp_bulk_str(w, name);
    resp_int(w, n);
}

static void put_type(struct resp_writer *w, const char *name, const char *type)
{
    resp_bulk_str(w, name);
    resp_map(w, 2);
    resp_bulk_str(w, "type");
    resp_bulk_str(w, type);
    resp_bulk_str(w, "spec");
}

static void put_head(struct resp_writer *w, unsigned flags, int index)
{
    resp_map(w, 3);
    resp_bulk_str(w, "flags");
    put_flags(w, flags);
    put_type(w, "begin_search", "index");
    resp_map(w, 1);
    put_field(w, "index", index);
}

/* From an index to another (from the end, when negative), in steps. */
static void put_range(struct resp_writer *w, unsigned flags, int first, int last, int step)
{
    put_head(w, flags, first);
    put_type(w, "find_keys", "range");
    resp_map(w, 3);
    put_field(w, "lastkey", last < 0 ? last : last - first);
    put_field(w, "keystep", step);
    put_field(w, "limit", 0);
}

/* So many as the argument at an index says, behind it. */
static void put_counted(struct resp_writer *w, unsigned flags, int at)
{
    put_head(w, flags, at);
    put_type(w, "find_keys", "keynum");
    resp_map(w, 3);
    put_field(w, "keynumidx", 0);
    put_field(w, "firstkey", 1);
    put_field(w, "keystep", 1);
}

/* The first half of what follows a word. */
static void put_streams(struct resp_writer *w, unsigned flags, int start_from)
{
    resp_map(w, 3);
    resp_bulk_str(w, "flags");
    put_flags(w, flags);
    put_type(w, "begin_search", "keyword");
    resp_map(w, 2);
    resp_bulk_str(w, "keyword");
    resp_bulk_str(w, "STREAMS");
    put_field(w, "startfrom", start_from);
    put_type(w, "find_keys", "range");
    resp_map(w, 3);
    put_field(w, "lastkey", -1);
    put_field(w, "keystep", 1);
    put_field(w, "limit", 2);
}

void key_specs_put(struct resp_writer *w, const struct command *cmd)
{
    struct key_use use = use_of(cmd);
    bool counted = cmd->key_positions == KEYS_NUMBERED;
    if (cmd->first_key == 0) {
        resp_array(w, 0);
        return;
    }
    resp_array(w, use.rest ? 2 : 1);
    if (cmd->key_positions == KEYS_STREAMS) {
        put_streams(w, use.first, cmd->first_key);
        return;
    }
    if (use.rest) put_range(w, use.first, 1, 1, 1);
    unsigned flags = use.rest ? use.rest : use.first;
    if (counted) put_counted(w, flags, cmd->first_key);
    else put_range(w, flags, use.rest ? 2 : cmd->first_key, cmd->last_key, cmd->key_step);
}

/* SET reads when it is to answer what was there. */
static unsigned use_by_set(const struct bytes *argv, size_t argc)
{
    for (size_t i = 3; i < argc; i++)
        if (bytes_is_word(argv[i], "get")) return RW | ACCESS | UPDATE;
    return OW | UPDATE;
}

void key_specs_put_use(struct resp_writer *w, const struct command *cmd, const struct bytes *argv,
                       size_t argc, int i)
{
    struct key_use use = use_of(cmd);
    unsigned flags = i > 0 && use.rest ? use.rest : use.first;
    put_flags(w, flags & VARIABLE ? use_by_set(argv, argc) : flags);
}
