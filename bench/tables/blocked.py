"""Many clients that wait for the next entry of one stream."""

import time

from bench.support.load import Load, LoadError, load

NAME = "blocked"
TITLE = "deliveries of 64-byte entries to 1,000 clients in XREAD BLOCK on one stream"

READERS = 1000
CELLS = {1: 200, 16: 1600}  # XADDs that the one writer keeps under way: entries
GOAL = 2.0
WAIT_SECONDS_MAX = 60


def deliver(server, pipeline, entries):
    """Deliveries per second, from the first to the last."""
    readers = Load(server, "XREAD BLOCK 0 COUNT 500 STREAMS stream __last__", connections=READERS, entries=entries)
    until = time.monotonic() + WAIT_SECONDS_MAX
    while server.info("clients")["blocked_clients"] < READERS:
        if time.monotonic() > until:
            raise LoadError("%s: the readers do not wait" % server.label)
        time.sleep(0.01)
    load(server, "XADD stream * data __data:64__", pipeline=pipeline, count=entries)
    got = readers.result()
    server.command("DEL", "stream")
    if got["entries"] != READERS * entries:
        raise LoadError("%s: %d deliveries of %d" % (server.label, got["entries"], READERS * entries))
    return got["entries"] / got["busy_seconds"]


def run(bench):
    with bench.leat("no") as leat, bench.redis() as redis:
        leat.need("XADD", "XREAD")
        for pipeline, entries in CELLS.items():
            entries = bench.count(entries, 50)
            name = "one XADD at a time" if pipeline == 1 else "XADD, pipeline %d" % pipeline
            got = bench.turns({"leat": lambda: deliver(leat, pipeline, entries),
                               "redis-server": lambda: deliver(redis, pipeline, entries)}, what=name)
            bench.row(name, "/s", got["leat"], got["redis-server"], at_least=GOAL)
