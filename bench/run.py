#!/usr/bin/python3
"""leat beside redis-server, on this machine, in turns: requests per second and their ratio.

    bench/run.py                    the table of `make bench`
    bench/run.py --rounds 7 --sync everysec --pipeline 1

Each cell is the median of the rounds; in a round both servers run the same redis-benchmark one
after the other, the order changing every time, so that a machine that grows slower or faster does
not favour one of them. redis-server runs without persistence; leat with `--sync no` (still a
journal) unless told otherwise. The goals: at least 0.95, and 1.2 with pipelining.
"""

import argparse
import os
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests"))

from support.servers import Leat, Redis  # noqa: E402

TESTS = "ping,set,get,incr,hset,sadd,zadd"
GOALS = {1: 0.95, 32: 1.2}


def measure(port, pipeline, requests, clients, keys):
    """{test: requests per second}"""
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-t", TESTS, "-P", str(pipeline), "-n", str(requests), "-c", str(clients),
         "-r", str(keys), "--csv"], capture_output=True, text=True, check=True)
    rows = [line.replace('"', "").split(",") for line in done.stdout.splitlines()]
    return {row[0]: float(row[1]) for row in rows if len(row) > 1 and row[0] != "test"}


def compare(leat, redis, pipeline, options):
    """{test: (leat's median, redis's median, median of the rounds' ratios)}"""
    requests = options.requests * (6 if pipeline > 1 else 1)
    got = {"leat": [], "redis": []}
    for number in range(options.rounds + 1):
        pair = [("leat", leat), ("redis", redis)]
        for name, server in pair if number % 2 else reversed(pair):
            rates = measure(server.port, pipeline, requests if number else requests // 5, options.clients, options.keys)
            if number:  # the first round only warms up
                got[name].append(rates)
    return {test: (statistics.median(r[test] for r in got["leat"]), statistics.median(r[test] for r in got["redis"]),
                   statistics.median(a[test] / b[test] for a, b in zip(got["leat"], got["redis"])))
            for test in got["leat"][0]}


def show(pipeline, table):
    print("\npipeline %-4d %20s %12s %12s %8s" % (pipeline, "", "leat/s", "redis/s", "ratio"))
    short = 0
    for test, (ours, theirs, ratio) in table.items():
        good = ratio >= GOALS.get(pipeline, 0.95)
        short += not good
        print("  %-32s %12.0f %12.0f %8.2f%s" % (test, ours, theirs, ratio, "" if good else "  below %.2f" % GOALS[pipeline]))
    sys.stdout.flush()
    return short


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100000, help="per test without pipelining; six times as many with")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100000)
    parser.add_argument("--sync", default="no")
    parser.add_argument("--pipeline", type=int, action="append")
    options = parser.parse_args()
    os.environ.setdefault("LEAT_BIN", os.path.join(TOP, "build", "leat"))
    print("leat --sync %s beside %s without persistence; %d clients, %d keys, median of %d rounds" % (
        options.sync, subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split(" sha")[0],
        options.clients, options.keys, options.rounds))
    short = 0
    with Leat() as leat, Redis() as redis:
        leat.start("--sync", options.sync)
        redis.start()
        for pipeline in options.pipeline or [1, 32]:
            short += show(pipeline, compare(leat, redis, pipeline, options))
    print("\n%s" % ("every goal is met" if not short else "%d below the goal" % short))


if __name__ == "__main__":
    main()
