"""Plain commands without waiting for the disk: redis-benchmark against leat (whose journal goes on,
unsynced) and a redis-server that keeps nothing."""

import subprocess

NAME = "commands"
TITLE = "redis-benchmark, nobody waits for the disk; 50 connections, 100,000 keys"

TESTS = "ping_mbulk,set,get,incr,hset,sadd,zadd"
GOALS = {1: 0.95, 32: 1.2}


def measure(server, pipeline, requests):
    """{test: requests per second}"""
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-t", TESTS, "-P", str(pipeline), "-n", str(requests), "-c", "50",
         "-r", "100000", "--csv"], capture_output=True, text=True, check=True)
    rows = [line.replace('"', "").split(",") for line in done.stdout.splitlines()]
    return {row[0]: float(row[1]) for row in rows if len(row) > 1 and row[0] != "test"}


def run(bench):
    with bench.leat("no") as leat, bench.redis() as redis:
        for pipeline, requests in (1, bench.count(50000, 5000)), (32, bench.count(400000, 50000)):
            measure(leat, pipeline, requests // 5)  # warms up
            measure(redis, pipeline, requests // 5)
            got = bench.turns({"leat": lambda: measure(leat, pipeline, requests),
                               "redis-server": lambda: measure(redis, pipeline, requests)},
                              what="pipeline %d" % pipeline)
            for test, ours in got["leat"].items():
                bench.row("%s, pipeline %d" % (test, pipeline), "/s", ours, got["redis-server"][test],
                          at_least=GOALS[pipeline])
