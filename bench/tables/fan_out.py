"""One channel, many subscribers."""

from bench.support.fanout import bare, fanout

NAME = "fan-out"
TITLE = "deliveries of 64-byte messages from one publisher, who keeps `depth` messages under way"

# (subscribers, depth): at least so many times redis-server, and of the bare server
GOALS = {(100, 1024): (4.0, 0.75), (1000, 1024): (4.0, 0.75), (100, 64): (1.25, 0.85), (1000, 64): (1.25, 0.85)}


def name_of(subscribers, depth):
    return "to %s, depth %s" % ("{:,}".format(subscribers), "{:,}".format(depth))


def run(bench):
    with bench.leat("no") as leat, bench.redis() as redis, bare() as limit:
        for (subscribers, depth), (goal, share) in GOALS.items():
            name = name_of(subscribers, depth)
            sides = {"leat": leat, "redis-server": redis, "bare server": limit}
            got = bench.turns({side: lambda server=server: fanout(bench, server, subscribers, depth)
                               for side, server in sides.items()}, what=name)
            ours, theirs, best = (got[side] for side in sides)
            bench.row(name, "/s", ours["deliveries_per_s"], theirs["deliveries_per_s"], at_least=goal)
            bench.row("  server's processor time per delivery", " ns", ours["server_ns_per_delivery"],
                      theirs["server_ns_per_delivery"])
            bench.row(name + ", beside the bare server", "/s", ours["deliveries_per_s"], best["deliveries_per_s"],
                      at_least=share, labels=("leat", "bare server"))


def row(bench, leat, redis, subscribers, depth, goal, size=64, name=None, more=()):
    name = name or name_of(subscribers, depth)
    got = bench.turns({"leat": lambda: fanout(bench, leat, subscribers, depth, size, *more),
                       "redis-server": lambda: fanout(bench, redis, subscribers, depth, size, *more)}, what=name)
    bench.row(name, "/s", got["leat"]["deliveries_per_s"], got["redis-server"]["deliveries_per_s"], at_least=goal)
