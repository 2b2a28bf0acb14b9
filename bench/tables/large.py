"""A stream that is large: the memory it takes, how long a start takes, what pending entries cost."""

from bench.support.load import LoadError, load

NAME = "large"
TITLE = "a stream of 10 million entries of 100 bytes; then 1 million of them pending"

ENTRIES = 10000000
PENDING = 1000000
MEMORY, START, PENDING_MEMORY = 0.1, 0.1, 0.25  # the goals


def fill(server, entries):
    load(server, "XADD stream * data __data:100__", count=entries, connections=50, pipeline=64)
    server.snapshot()
    return server.resident()


def restart(server, entries):
    seconds = server.restart()
    have = server.command("XLEN", "stream")
    if have != entries:
        raise LoadError("%s has %d entries of %d after the start" % (server.label, have, entries))
    return seconds


def read_all(server, entries):
    """Entries per second; all of them must be there."""
    got = load(server, "XRANGE stream (__last__ + COUNT 500", until_empty=True)
    if got["entries"] != entries:
        raise LoadError("%s: %d entries of %d came" % (server.label, got["entries"], entries))
    return got["entries_per_second"]


def leave_pending(server, pending):
    """(growth of the resident memory, growth by the server's own count) of so many pending entries."""
    server.command("XGROUP", "CREATE", "stream", "g", "0")
    resident, used = server.resident(), server.used()
    load(server, "XREADGROUP GROUP g c__conn__ COUNT 100 STREAMS stream >", connections=10, count=pending // 100)
    have = server.command("XPENDING", "stream", "g")[0]
    if have != pending:
        raise LoadError("%s: %d entries are pending, not %d" % (server.label, have, pending))
    return server.resident() - resident, server.used() - used


def run(bench):
    entries, pending = bench.count(ENTRIES, 200000), bench.count(PENDING, 100000)
    with bench.leat("no") as leat, bench.redis() as redis:
        leat.need("XADD", "XRANGE")
        both = {"leat": leat, "redis-server": redis}

        def each(what, job, *more):
            return bench.turns({name: lambda server=server: job(server, *more) for name, server in both.items()},
                               rounds=1, what=what)

        def row(name, unit, got, goal=None):
            bench.row(name, unit, got["leat"], got["redis-server"], at_most=goal)

        row("resident memory, written and saved", "bytes", each("filling", fill, entries), MEMORY)
        starts = bench.turns({name: lambda server=server: restart(server, entries) for name, server in both.items()},
                             rounds=bench.rounds(3), what="start")
        row("start, until the first answer", "s", starts, START)
        row("entries, reading all by XRANGE COUNT 500", "/s", each("reading", read_all, entries))
        row("resident memory, started and all read", "bytes",
            each("memory", lambda server: server.resident()), MEMORY)
        leat.need("XGROUP", "XREADGROUP", "XPENDING")
        got = each("pending", lambda server: dict(zip(("resident", "used"), leave_pending(server, pending))))
        for key, name in ("resident", "resident memory"), ("used", "memory by own count"):
            row("%s, %s pending" % (name, "{:,}".format(pending)), "bytes",
                {name: values[key] for name, values in got.items()}, PENDING_MEMORY)
