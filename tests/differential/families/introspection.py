"""COMMAND INFO and COMMAND GETKEYS."""

from families import command, draw, hello
from families import groups, hashes, keys, lists, sets, strings, zsets

NAMES = """
auth client command config dbsize echo flushall flushdb hello info memory monitor object ping psubscribe publish pubsub
punsubscribe quit reset select slowlog spublish ssubscribe subscribe sunsubscribe swapdb time unsubscribe wait
copy del exists expire expireat expiretime keys move persist pexpire pexpireat pexpiretime pttl randomkey rename
renamenx scan touch ttl type unlink
append decr decrby get getdel getex getrange getset incr incrby incrbyfloat mget mset msetnx psetex set setex setnx
setrange strlen substr
hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals
blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop
rpoplpush rpush rpushx
sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop srandmember srem
sscan sunion sunionstore
bzmpop bzpopmax bzpopmin zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop
zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex
zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
discard exec multi unwatch watch
xack xadd xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim
""".split()

GRAMMAR = strings.GRAMMAR + hashes.GRAMMAR + lists.GRAMMAR + sets.GRAMMAR + zsets.GRAMMAR + keys.GRAMMAR + groups.GRAMMAR
MORE = [["BLPOP", "a", "b", "0"], ["BLMPOP", "0", "2", "a", "b", "LEFT"], ["BLMOVE", "a", "b", "LEFT", "LEFT", "0"],
        ["BZPOPMIN", "a", "b", "0"], ["BZMPOP", "0", "2", "a", "b", "MIN"], ["WATCH", "a", "b"], ["PING"], ["MULTI"],
        ["PUBLISH", "a", "b"], ["SPUBLISH", "a", "b"], ["SSUBSCRIBE", "a", "b"], ["NOSUCH", "a"], ["OBJECT", "ENCODING", "a"], ["MEMORY", "USAGE", "k"], ["GET"],
        ["ZUNIONSTORE", "d", "9", "a"], ["ZUNION", "x", "a"], ["ZMPOP", "0", "a", "MIN"], ["SINTERCARD", "-1", "a"],
        ["MSET", "a", "1", "b"], ["CONFIG", "GET", "x"], ["CLIENT", "ID"], ["OBJECT", "NIX", "a"]]


def info(gen, length):
    """Arity, flags, key positions and categories of every command there is."""
    names = list(NAMES)
    gen.rng.shuffle(names)
    steps = hello(gen) + [command(0, "COMMAND", "INFO", name) for name in names]
    return steps + [command(0, "COMMAND", "INFO", "get", "nosuch", "set"), command(0, "COMMAND", "INFO", "GET")]


def getkeys(gen, length):
    steps = hello(gen)
    for _ in range(length // 2):
        sub = gen.pick(["GETKEYS", "GETKEYS", "getkeys", "GETKEYSANDFLAGS"])
        args = gen.pick(MORE) if gen.chance(0.1) else draw(gen, GRAMMAR, 0.05)
        steps.append(command(0, "COMMAND", sub, *args))
    return steps


SEQUENCES = {"commandinfo": info, "getkeys": getkeys}
