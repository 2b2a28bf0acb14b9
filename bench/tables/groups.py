"""A consumer group that works off a stream, everything on disk before it is answered."""

from bench.support.load import LoadError, load

NAME = "groups"
TITLE = "XREADGROUP COUNT 100, then XACK, over 1 million entries of 100 bytes; 10 consumers, on disk"

ENTRIES = 1000000
CONSUMERS = 10
WORK = "XREADGROUP GROUP g c__conn__ COUNT 100 STREAMS stream > ; XACK stream g __ids__"
GOAL = 3.0


def work(server, entries):
    """Entries per second through a group made for it; each is read once and none stays pending."""
    server.command("XGROUP", "CREATE", "stream", "g", "0")
    try:
        got = load(server, WORK, connections=CONSUMERS, until_empty=True)
        pending = server.command("XPENDING", "stream", "g")[0]
    finally:
        server.command("XGROUP", "DESTROY", "stream", "g")
    if got["entries"] != entries or pending:
        raise LoadError("%d entries of %d came, %d are pending" % (got["entries"], entries, pending))
    return got["entries_per_second"]


def run(bench):
    entries = bench.count(ENTRIES, 50000)
    with bench.leat("always") as leat, bench.redis("always") as redis:
        leat.need("XADD", "XGROUP", "XREADGROUP", "XACK", "XPENDING")
        for server in leat, redis:
            bench.progress("filling %s" % server.label)
            load(server, "XADD stream * data __data:100__", count=entries, connections=50, pipeline=64)
        got = bench.turns({"leat": lambda: work(leat, entries), "redis-server": lambda: work(redis, entries)},
                          what="working off")
        bench.row("entries, XREADGROUP COUNT 100 + XACK", "/s", got["leat"], got["redis-server"], at_least=GOAL)
