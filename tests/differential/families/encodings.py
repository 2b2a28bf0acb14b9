"""Encodings and their thresholds: collections that cross them, by count and by size of a value."""

from families import command, commands, hello
from families import hashes, lists, sets, strings, zsets

LIMITS = [("hash-max-listpack-entries", ["0", "1", "4", "128"]), ("hash-max-listpack-value", ["0", "4", "64"]),
          ("list-max-listpack-size", ["-2", "-1", "-5", "1", "0", "4", "128"]), ("list-max-ziplist-size", ["-2", "16"]),
          ("set-max-intset-entries", ["0", "3", "512"]), ("zset-max-listpack-entries", ["0", "2", "128"]),
          ("zset-max-listpack-value", ["0", "3", "64"]), ("hash-max-ziplist-entries", ["5", "128"]),
          ("zset-max-ziplist-value", ["5", "64"])]

def looks(gen):
    return [command(0, "OBJECT", "ENCODING", k) for k in ("h1", "l1", "t1", "z1", "s1")]


def sequence(gen, length):
    steps = hello(gen)
    grammar = strings.GRAMMAR[:2] + hashes.GRAMMAR + lists.GRAMMAR + sets.GRAMMAR + zsets.GRAMMAR
    for _ in range(max(length // 60, 2)):
        if gen.chance(0.6):
            name, values = gen.pick(LIMITS)
            value = gen.pick(values) if gen.chance(0.9) else gen.pick(["-1", "x"])
            steps += [command(0, "CONFIG", "SET", name, value), command(0, "CONFIG", "GET", name)]
        steps += commands(gen, grammar, 20, broken=0.02) + looks(gen)
        count = gen.pick([3, 20, 127, 128, 129, 140, 511, 513])
        step = gen.pick([1, 7])
        if gen.chance(0.4):
            steps.append(command(0, "SADD", "t1", *range(0, count * step, step)))
        if gen.chance(0.4):
            steps.append(command(0, "HSET", "h1", *[x for i in range(count) for x in ("f%d" % i, i)]))
        if gen.chance(0.4):
            steps.append(command(0, "ZADD", "z1", *[x for i in range(count) for x in (i % 13, "m%d" % i)]))
        steps += looks(gen) + commands(gen, grammar, 20, broken=0)
        steps += [command(0, "HSET", "h1", "f", "y" * gen.pick([63, 64, 65])),
                  command(0, "ZADD", "z1", "1", "z" * gen.pick([63, 64, 65])),
                  command(0, "SADD", "t1", gen.pick(["9223372036854775807", "9223372036854775808", "-1", "01", "x"]))]
        steps += looks(gen) + [command(0, "ZRANGE", "z1", "0", "-1", "WITHSCORES"), command(0, "HGETALL", "h1"),
                               command(0, "SMEMBERS", "t1")]
        if gen.chance(0.4):
            steps.append(command(0, "DEL", "h1", "t1", "z1"))
    return steps


SEQUENCES = {"encodings": sequence}
