"""What clients notice of a snapshot. redis-server's BGSAVE stands beside it for information: it forks,
leat walks."""

from bench.support.load import Load, check_calls, load

NAME = "snapshot"
TITLE = "latency while a snapshot is made, against without; 5 million keys, 5,000 commands per second"

KEYS = 5000000
GOAL = 2.0
RATE = 5000
WORK = "SET key:__rand:%d__ __data:64__ ; GET key:__rand:%d__"


def during(server, keys, snapshot, seconds):
    """{command: p99 in us}; with `snapshot`, of the time that takes."""
    before = server.calls()
    work = Load(server, WORK % (keys, keys), connections=20, rate=RATE, seconds=600 if snapshot else seconds)
    try:
        if snapshot:
            server.snapshot()
    finally:
        if snapshot:
            work.stop()
    result = work.result()
    check_calls(server, before, result)
    return {row["command"]: row["p99_us"] for row in result["commands"]}


def run(bench):
    keys = bench.count(KEYS, 200000)
    with bench.leat("always") as leat, bench.redis("always") as redis:
        for server in leat, redis:
            bench.progress("filling %s" % server.label)
            load(server, "SET key:__seq__ __data:64__", count=keys, connections=50, pipeline=64)
        for server, goal in (leat, GOAL), (redis, None):
            jobs = {"with": lambda: during(server, keys, True, 0),
                    "without": lambda: during(server, keys, False, bench.seconds(3))}
            got = bench.turns(jobs, rounds=bench.rounds(3), what=server.label)
            for command in "SET", "GET":
                bench.row("%s: %s p99" % (server.label, command), "us", got["with"][command],
                          got["without"][command], at_most=goal, labels=("snapshot", "none"))
