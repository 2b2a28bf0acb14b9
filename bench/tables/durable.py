"""Writes that are on disk before they are answered."""

from bench.support.load import rate

NAME = "durable"
TITLE = "writes answered when on disk, against appendfsync always; 50 connections"

COMMANDS = {"SET": "SET key:__rand:100000__ __data:64__", "HINCRBY": "HINCRBY hash:__rand:1000__ f:__rand:100__ 1"}
GOALS = {32: 1.5, 1: 1.1}
UNSYNCED = 0.8


def run(bench):
    with bench.leat("always") as leat, bench.redis("always") as redis, bench.leat("no") as unsynced:
        for pipeline in GOALS:
            for name, command in COMMANDS.items():
                measure(bench, leat, redis, unsynced, pipeline, name, command)


def measure(bench, leat, redis, unsynced, pipeline, name, command):
    def job(server):
        return lambda: rate(server, command, connections=50, pipeline=pipeline, seconds=bench.seconds(1.5))

    name = "%s, pipeline %d" % (name, pipeline)
    jobs = {"leat": job(leat), "redis-server": job(redis)}
    if pipeline > 1:
        jobs["leat, sync no"] = job(unsynced)
    got = bench.turns(jobs, what=name)
    bench.row(name, "/s", got["leat"], got["redis-server"], at_least=GOALS[pipeline])
    if pipeline > 1:
        bench.row(name + ", always beside no", "/s", got["leat"], got["leat, sync no"], at_least=UNSYNCED,
                  labels=("leat always", "leat no"))
