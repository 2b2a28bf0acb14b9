"""Clients that wait in a command that blocks."""

import time

from support.resp import encode, to_bytes


def blocked(conn):
    """How many clients wait, by the server's count."""
    info = conn.call("INFO", "clients")[1].decode()
    return int(info.split("blocked_clients:")[1].split()[0])


def until_blocked(conn, count, seconds=20):
    until = time.monotonic() + seconds
    while blocked(conn) != count:
        assert time.monotonic() < until, "%d blocked, not %d" % (blocked(conn), count)
        time.sleep(0.002)


def waits(conns, number, *args):
    """Sends a command that blocks over one of the connections, and returns when the server has it blocked;
    the first connection is asked."""
    before = blocked(conns[0])
    conns[number].send(encode([to_bytes(a) for a in args]))
    until_blocked(conns[0], before + 1)
