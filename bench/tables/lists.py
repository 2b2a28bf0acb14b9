"""Lists as queues."""

from bench.support.load import rate

NAME = "lists"
TITLE = "LPUSH and RPOP of 64 bytes, 100 lists; 50 connections"

# (pipeline, leat's sync, redis-server's appendfsync, goal)
SETTINGS = [(1, "no", None, 0.95), (32, "no", None, 1.2),
            (1, "always", "always", 0.95), (32, "always", "always", 1.2)]


def push_and_pop(server, pipeline, count):
    commands = {"LPUSH": "LPUSH list:__seq:100__ __data:64__", "RPOP": "RPOP list:__seq:100__"}
    return {name: rate(server, command, connections=50, pipeline=pipeline, count=count)
            for name, command in commands.items()}


def run(bench):
    for pipeline, sync, keep, goal in SETTINGS:
        with bench.leat(sync) as leat, bench.redis(keep) as redis:
            leat.need("LPUSH", "RPOP")
            count = bench.count(100000 if pipeline == 1 else 600000, 10000)
            if sync == "always" and pipeline == 1:
                count //= 3
            name = "pipeline %d, %s" % (pipeline, "on disk" if sync == "always" else "not synced")
            got = bench.turns({"leat": lambda: push_and_pop(leat, pipeline, count),
                               "redis-server": lambda: push_and_pop(redis, pipeline, count)}, what=name)
            for command in "LPUSH", "RPOP":
                bench.row("%s, %s" % (command, name), "/s", got["leat"][command], got["redis-server"][command],
                          at_least=goal)
            for server in leat, redis:
                left = server.command("DBSIZE")
                if left:
                    raise RuntimeError("%s: %d lists are left" % (server.label, left))
