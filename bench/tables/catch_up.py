"""Readers that catch up: every entry of a stream, in pages of 500."""

from bench.support.load import LoadError, load

NAME = "catch-up"
TITLE = "reading 1 million entries of 100 bytes in pages of 500, 4 readers"

ENTRIES = 1000000
STREAMS = 1000
READERS = 4
READS = {"XRANGE": "XRANGE %s (__last__ + COUNT 500", "XREAD": "XREAD COUNT 500 STREAMS %s __last__"}


def fill(server, entries):
    load(server, "XADD one * data __data:100__", count=entries, connections=8, pipeline=64)
    load(server, "XADD many:__seq:%d__ * data __data:100__" % STREAMS, count=entries, connections=1, pipeline=512)


def read(server, command, times, entries):
    """Entries per second; the readers must get each entry as often as they should."""
    got = load(server, command, connections=READERS, until_empty=True)
    if got["entries"] != times * entries:
        raise LoadError("%s: %d entries of %d came" % (command, got["entries"], times * entries))
    return got["entries_per_second"]


def run(bench):
    entries = bench.count(ENTRIES, 50000)
    with bench.leat("always") as leat, bench.redis() as redis:
        leat.need("XADD", *READS)
        for server in leat, redis:
            bench.progress("filling %s" % server.label)
            fill(server, entries)
        for name, command in READS.items():
            # Each reader reads all of the one stream; the many are shared among the readers.
            for where, key, times, goal in (("one stream", "one", READERS, 3.0),
                                            ("1,000 interleaved", "many:__walk:%d__" % STREAMS, 1, 2.0)):
                whole = command % key
                got = bench.turns({"leat": lambda: read(leat, whole, times, entries),
                                   "redis-server": lambda: read(redis, whole, times, entries)},
                                  what="%s, %s" % (name, where))
                bench.row("entries, %s COUNT 500, %s" % (name, where), "/s", got["leat"], got["redis-server"],
                          at_least=goal)
