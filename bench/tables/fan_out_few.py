"""One channel, few subscribers; and a publisher who waits for each answer."""

from bench.support.fanout import fanout
from bench.tables.fan_out import name_of, row

NAME = "fan-out-few"
TITLE = "deliveries of 64-byte messages to few subscribers, or one message at a time"

FEW = {(1, 1024): 1.2, (10, 1024): 1.2, (1, 64): 1.2, (10, 64): 1.2}
ALONE = 100  # subscribers of a publisher who waits for each answer
ALONE_RATE, ALONE_LATENCY = 0.95, 1.05


def run(bench):
    with bench.leat("no") as leat, bench.redis() as redis:
        for (subscribers, depth), goal in FEW.items():
            row(bench, leat, redis, subscribers, depth, goal)
        alone(bench, leat, redis)


def alone(bench, leat, redis):
    name = name_of(ALONE, 1)
    got = bench.turns({"leat": lambda: fanout(bench, leat, ALONE, 1),
                       "redis-server": lambda: fanout(bench, redis, ALONE, 1)}, what=name)
    ours, theirs = got["leat"], got["redis-server"]
    bench.row(name, "/s", ours["deliveries_per_s"], theirs["deliveries_per_s"], at_least=ALONE_RATE)
    bench.row(name + ", p99 of PUBLISH", "us", ours["p99_us"], theirs["p99_us"], at_most=ALONE_LATENCY)
