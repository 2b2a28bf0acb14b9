"""What a reader of quiet keys notices of a writer who saturates the server with synced writes."""

import time

from bench.support.load import Load, LoadError, check_calls, load
from support import faults

NAME = "beside"
TITLE = "GET p99 of a second client beside a saturating durable writer (50 x 32)"

WRITER = "SET key:__rand:100000__ __data:64__"
READER = "GET quiet:__rand:1000__"
QUIET_KEYS = 1000
READS_PER_SECOND = 1000
READERS = 20  # connections of the second client: one read that waits does not hold up those behind it
WRITER_AHEAD_SECONDS = 0.5
GOALS = {0: 0.5, 10: 0.1}  # delay of each sync in ms: the ratio of the latencies


def slow_disk(delay_ms):
    """The environment of a server whose syncs take so much longer."""
    if not delay_ms:
        return None
    return {"LD_PRELOAD": faults.build(), "FAULTIO": "sync delay_ms=%d" % delay_ms}


def reader_latency(server, seconds):
    """Latencies in us of GETs sent at a fixed rate, how late they were sent for want of a processor (a
    machine that is busy otherwise shows here), and the writer's rate meanwhile."""
    before = server.calls()
    writer = Load(server, WRITER, connections=50, pipeline=32, seconds=600)
    try:
        time.sleep(WRITER_AHEAD_SECONDS)
        reader = Load(server, READER, connections=READERS, rate=READS_PER_SECOND, seconds=seconds)
        read = reader.result()
    finally:
        writer.stop()
    wrote = writer.result()
    check_calls(server, before, read, wrote)
    return {"p50": read["commands"][0]["p50_us"], "p99": read["commands"][0]["p99_us"],
            "late": read["late_p99_us"], "writes": wrote["per_second"]}


def check_delay(server, delay_ms):
    """The shim must be at work, or the row would show nothing."""
    result = load(server, "SET probe 1", count=5)
    if result["commands"][0]["p50_us"] < delay_ms * 1000:
        raise LoadError("%s: syncs are not delayed" % server.label)


def run(bench):
    for delay_ms, goal in GOALS.items():
        env = slow_disk(delay_ms)
        with bench.leat("always", env=env) as leat, bench.redis("always", env=env) as redis:
            for server in leat, redis:
                check_delay(server, delay_ms)
                load(server, "SET quiet:__seq__ __data:64__", count=QUIET_KEYS, connections=10, pipeline=100)
            what = "syncs %d ms slower" % delay_ms if delay_ms else "the disk as it is"
            got = bench.turns({"leat": lambda: reader_latency(leat, bench.seconds(3)),
                               "redis-server": lambda: reader_latency(redis, bench.seconds(3))}, what=what)
            ours, theirs = got["leat"], got["redis-server"]
            bench.row("GET p99, " + what, "us", ours["p99"], theirs["p99"], at_most=goal)
            bench.row("GET p50, " + what, "us", ours["p50"], theirs["p50"])
            bench.row("p99 of the reader's own lateness, " + what, "us", ours["late"], theirs["late"])
            bench.row("the writer meanwhile, " + what, "/s", ours["writes"], theirs["writes"])
