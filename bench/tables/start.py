"""A start with much to read: leat's snapshot against redis-server's RDB, of the same data."""

from bench.support.load import load

NAME = "start"
TITLE = "start with 5 million keys, until the first answer"

KEYS = 5000000
GOAL = 0.5


def fill(server, keys):
    load(server, "SET key:__seq__ __data:64__", count=keys, connections=8, pipeline=64)
    server.snapshot()


def restart(server, keys):
    seconds = server.restart()
    have = server.command("DBSIZE")
    if have != keys:
        raise RuntimeError("%s has %d keys of %d after the start" % (server.label, have, keys))
    return seconds


def run(bench):
    keys = bench.count(KEYS, 100000)
    with bench.leat("no") as leat, bench.redis() as redis:
        for server in leat, redis:
            bench.progress("filling %s" % server.label)
            fill(server, keys)
        got = bench.turns({"leat": lambda: restart(leat, keys), "redis-server": lambda: restart(redis, keys)},
                          rounds=bench.rounds(3), what="start")
        bench.row("start with %s keys" % "{:,}".format(keys), "s", got["leat"], got["redis-server"], at_most=GOAL)
