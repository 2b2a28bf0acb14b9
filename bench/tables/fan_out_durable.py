"""A durable channel beside an ordinary one, both of leat; and what slow subscribers cost."""

import contextlib
import resource
import socket

from bench.support.fanout import fanout
from bench.support.load import LoadError, load
from bench.support.servers import NotThere
from bench.tables.fan_out import name_of

NAME = "fan-out-durable"
TITLE = "a durable channel with sync always, against an ordinary one; slow subscribers"

CELLS = [(100, 1024), (1000, 1024), (100, 64), (1000, 64)]
GOAL = 0.6
SLOW, BEHIND_BYTES, MESSAGE_BYTES = 1000, 100 << 20, 16384
MEMORY_MAX = 64e6


def make_durable(leat, pattern):
    if not leat.command("CONFIG", "GET", "durable"):
        raise NotThere("CONFIG SET durable")
    leat.command("CONFIG", "SET", "durable", pattern)


def run(bench):
    with bench.leat("always") as leat, bench.leat("always") as durable:
        make_durable(durable, "common*")
        for subscribers, depth in CELLS:
            name = name_of(subscribers, depth)
            got = bench.turns({"durable": lambda: fanout(bench, durable, subscribers, depth),
                               "ordinary": lambda: fanout(bench, leat, subscribers, depth)}, what=name)
            bench.row(name, "/s", got["durable"]["deliveries_per_s"], got["ordinary"]["deliveries_per_s"],
                      at_least=GOAL, labels=("durable", "ordinary"))
    slow(bench)


def slow(bench):
    count = bench.count(BEHIND_BYTES, 10 << 20) // MESSAGE_BYTES
    with bench.leat("always") as leat, contextlib.ExitStack() as stack:
        make_durable(leat, "news*")
        readers = [stack.enter_context(subscriber(leat, number)) for number in range(SLOW)]
        bench.progress("publishing to slow subscribers")
        load(leat, "PUBLISH news1 __data:%d__" % MESSAGE_BYTES, pipeline=16, count=count)
        resident = leat.resident()
        bench.row("resident memory, %s slow, %d MB behind each" % ("{:,}".format(SLOW), count * MESSAGE_BYTES >> 20),
                  "bytes", [resident], at_most=MEMORY_MAX, labels=("leat",))
        bench.progress("one of them reads")
        read_messages(readers[0], count)


@contextlib.contextmanager
def subscriber(server, number):
    """A named connection with a small window, which reads nothing but the confirmations."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(60)
        s.connect(("127.0.0.1", server.port))
        s.sendall(b"CLIENT SETNAME slow%d\r\nSUBSCRIBE news1\r\n" % number)
        wanted, got = b"+OK\r\n*3\r\n$9\r\nsubscribe\r\n$5\r\nnews1\r\n:1\r\n", b""
        while len(got) < len(wanted):
            got += s.recv(len(wanted) - len(got)) or b"(closed)" * len(wanted)
        if got != wanted:
            raise LoadError("a subscriber got %r" % got)
        yield s


def read_messages(s, count):
    """All that was published must come to one who at last reads."""
    size = len(b"*3\r\n$7\r\nmessage\r\n$5\r\nnews1\r\n$%d\r\n\r\n" % MESSAGE_BYTES) + MESSAGE_BYTES
    left = size * count
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    while left > 0:
        data = s.recv(min(left, 1 << 20))
        if not data:
            raise LoadError("a slow subscriber was dropped with %d bytes to come" % left)
        left -= len(data)
