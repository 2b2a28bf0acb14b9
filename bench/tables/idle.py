"""What a connection costs that only waits."""

import contextlib
import resource
import socket

from bench.support.fanout import fanout

NAME = "idle"
TITLE = "memory of 10,000 idle subscribers, beside 1,000 active ones"

IDLE, ACTIVE = 10000, 1000
CHANNELS = 100


@contextlib.contextmanager
def idle(server, count):
    """So many subscribers of channels on which nothing comes."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    with contextlib.ExitStack() as stack:
        for number in range(count):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            s.sendall(b"SUBSCRIBE quiet%d\r\n" % (number % CHANNELS))
            if not s.recv(1000).startswith(b"*3\r\n$9\r\nsubscribe\r\n"):
                raise RuntimeError("%s did not confirm" % server.label)
        yield


def memory(bench, server, count):
    """{per idle connection, the whole process while the active ones were served too}"""
    before = server.resident()
    with idle(server, count):
        grown = server.resident() - before
        fanout(bench, server, ACTIVE, 64)
        return {"each": grown / count, "whole": server.resident()}


def run(bench):
    count = bench.count(IDLE, 1000)
    options = ("--maxclients", str(IDLE + 2 * ACTIVE))
    with bench.leat("no", options) as leat, bench.redis(None, options) as redis:
        got = bench.turns({"leat": lambda: memory(bench, leat, count),
                           "redis-server": lambda: memory(bench, redis, count)}, rounds=1, what="subscribing")
        ours, theirs = got["leat"], got["redis-server"]
        bench.row("resident memory per idle subscriber", "bytes", ours["each"], theirs["each"], at_most=1.0)
        bench.row("of the process, serving the active ones too", "bytes", ours["whole"], theirs["whole"])
