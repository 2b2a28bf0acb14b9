"""One channel, many subscribers."""

from bench.support.fanout import bare, fanout

NAME = "fan-out"
TITLE = "deliveries of 64-byte messages from one publisher, who keeps `depth` messages under way"

# (subscribers, depth): at least so many times redis-server, and of the bare server
GOALS = {(100, 1024): (4.0, 0.75), (1000, 1024): (4.0, 0.75), (100, 64): (1.25, 0.85), (1000, 64): (1.25, 0.85)}
FEW = {(1, 1024): 1.2, (10, 1024): 1.2, (1, 64): 1.2, (10, 64): 1.2}
ALONE = 100  # subscribers of a publisher who waits for each answer
ALONE_RATE, ALONE_LATENCY = 0.95, 1.05


def name_of(subscribers, depth):
    return "to %s, depth %s" % ("{:,}".format(subscribers), "{:,}".format(depth))


def run(bench):
    with bench.leat("no") as leat, bench.redis() as redis, bare() as limit:
        for (subscribers, depth), (goal, share) in GOALS.items():
            name = name_of(subscribers, depth)
            got = bench.turns({server.label: lambda server=server: fanout(bench, server, subscribers, depth)
                               for server in (leat, redis, limit)}, what=name)
            ours, theirs, best = got[leat.label], got[redis.label], got[limit.label]
            bench.row(name, "/s", ours["deliveries_per_s"], theirs["deliveries_per_s"], at_least=goal)
            bench.row(name + ", beside the bare server", "/s", ours["deliveries_per_s"], best["deliveries_per_s"],
                      at_least=share, labels=("leat", "bare server"))
        for (subscribers, depth), goal in FEW.items():
            row(bench, leat, redis, subscribers, depth, goal)
        alone(bench, leat, redis)


def row(bench, leat, redis, subscribers, depth, goal, size=64, name=None, more=()):
    name = name or name_of(subscribers, depth)
    got = bench.turns({"leat": lambda: fanout(bench, leat, subscribers, depth, size, *more),
                       "redis-server": lambda: fanout(bench, redis, subscribers, depth, size, *more)}, what=name)
    bench.row(name, "/s", got["leat"]["deliveries_per_s"], got["redis-server"]["deliveries_per_s"], at_least=goal)


def alone(bench, leat, redis):
    name = name_of(ALONE, 1)
    got = bench.turns({"leat": lambda: fanout(bench, leat, ALONE, 1),
                       "redis-server": lambda: fanout(bench, redis, ALONE, 1)}, what=name)
    ours, theirs = got["leat"], got["redis-server"]
    bench.row(name, "/s", ours["deliveries_per_s"], theirs["deliveries_per_s"], at_least=ALONE_RATE)
    bench.row(name + ", p99 of PUBLISH", "us", ours["p99_us"], theirs["p99_us"], at_most=ALONE_LATENCY)
