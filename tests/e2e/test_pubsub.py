"""Publish and subscribe from outside: who is slow, who is closed for it, who can be told of, and that everybody
gets every byte in order, whatever shares it."""

import re
import socket
import time

import pytest

from support.resp import Connection, encode, to_bytes

MESSAGE = b"x" * 1000


class Subscriber:
    """A raw connection with a small receive buffer, so that the server soon has to keep what it does not read."""

    def __init__(self, port, *commands, small=False):
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(10)
        self.got = b""
        for args in commands:
            self.socket.sendall(encode([to_bytes(a) for a in args]))
            self.read_until(b":%d\r\n" % (len(args) - 1) if args[0] != "CLIENT" else b"+OK\r\n")

    def read_until(self, end):
        while not self.got.endswith(end):
            data = self.socket.recv(1 << 20)
            assert data, "closed by the server"
            self.got += data
        got, self.got = self.got, b""
        return got

    def read_frames(self, expected, count):
        """So many times these bytes, and nothing else."""
        left = len(expected) * count
        while len(self.got) < left:
            data = self.socket.recv(1 << 20)
            assert data, "closed by the server"
            self.got += data
        assert self.got == expected * count
        self.got = b""

    def is_closed(self):
        """Reads to the end; False when the server is still there."""
        self.socket.settimeout(0.5)
        try:
            while self.socket.recv(1 << 20):
                pass
            return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.socket.close()


@pytest.fixture
def subscriber():
    made = []

    def make(*args, **options):
        made.append(Subscriber(*args, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def frame(channel, message, kind=b"message"):
    return b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(kind), kind, len(channel), channel, len(message), message)


def publish(conn, count, message=MESSAGE, channel="news"):
    one = encode([b"PUBLISH", to_bytes(channel), message])
    conn.send(one * count)
    return [conn.read()[1][1] for _ in range(count)]


def info(conn, field):
    return int(re.search(r"^%s:(\d+)" % field, conn.call("INFO")[1].decode(), re.M).group(1))


def client_line(conn, name):
    lines = conn.call("CLIENT", "LIST")[1].decode().splitlines()
    return dict(f.split("=", 1) for line in lines if " name=%s " % name in line for f in line.split(" "))


def test_hard_limit_closes_the_slow_one_only(either, subscriber):
    act = Connection(either.port)
    act.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 2000000 0 0")
    slow = subscriber(either.port, ["CLIENT", "SETNAME", "slow"], ["SUBSCRIBE", "news"], small=True)
    quick = subscriber(either.port, ["SUBSCRIBE", "news"])
    sent = 0
    while client_line(act, "slow"):
        publish(act, 200)
        quick.read_frames(frame(b"news", MESSAGE), 200)
        sent += 200
        assert sent < 40000, "the slow one is never closed"
    assert slow.is_closed()
    assert publish(act, 1) == [b"1"]
    quick.read_frames(frame(b"news", MESSAGE), 1)


def test_soft_limit_closes_after_its_seconds(either, subscriber):
    act = Connection(either.port)
    act.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 500000 1")
    slow = subscriber(either.port, ["CLIENT", "SETNAME", "slow"], ["SUBSCRIBE", "news"], small=True)
    begun = None
    while begun is None:
        publish(act, 500)
        line = client_line(act, "slow")
        if int(line["omem"]) > 600000:
            begun = time.monotonic()
    while client_line(act, "slow"):
        assert time.monotonic() < begun + 6, "never closed"
        publish(act, 1)
        time.sleep(0.05)
    assert time.monotonic() > begun + 0.9
    assert slow.is_closed()


def test_closed_at_the_soft_limit_without_another_message(leat, subscriber):
    act = Connection(leat.port)
    act.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 500000 1")
    slow = subscriber(leat.port, ["CLIENT", "SETNAME", "slow"], ["SUBSCRIBE", "news"], small=True)
    while int(client_line(act, "slow")["omem"]) <= 500000:
        publish(act, 500)
    time.sleep(3.5)
    assert not client_line(act, "slow") and slow.is_closed()
    assert info(act, "client_output_buffer_limit_disconnections") == 1
    assert re.search(r'name "slow"\): closed: \d+ bytes of output wait for it, over the soft .* class pubsub', leat.log())


def test_normal_class(either, subscriber):
    """Who asks for more than it reads is measured by the class normal."""
    act = Connection(either.port)
    act.call("SET", "big", b"y" * 1000000)
    act.call("CONFIG", "SET", "client-output-buffer-limit", "normal 8000000 0 0 pubsub 1 0 0")
    greedy = subscriber(either.port, ["CLIENT", "SETNAME", "greedy"], small=True)
    greedy.socket.sendall(encode([b"GET", b"big"]) * 60)
    until = time.monotonic() + 10
    while client_line(act, "greedy"):
        assert time.monotonic() < until, "never closed"
        time.sleep(0.02)
    assert greedy.is_closed()


def test_config_get_and_set(either):
    act = Connection(either.port)
    assert act.call("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 512kb 7") == (b"+", b"OK")
    got = act.call("CONFIG", "GET", "client-output-buffer-limit")[1][1][1]
    assert got == b"normal 1048576 524288 7 slave 268435456 67108864 60 pubsub 33554432 8388608 60"


def test_memory_is_one_copy(leat, subscriber):
    """Twenty that do not read: what they have not read is kept once."""
    act = Connection(leat.port)
    act.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
    slow = [subscriber(leat.port, ["SUBSCRIBE", "news"], small=True) for _ in range(20)]
    before = info(act, "used_memory")
    for _ in range(10):
        assert publish(act, 1000)[-1] == b"20"
    grown = info(act, "used_memory") - before
    assert 5e6 < grown < 20e6, grown
    for one in slow:
        got = 0
        while got < 10000 * len(frame(b"news", MESSAGE)):
            got += len(one.socket.recv(1 << 20))
    until = time.monotonic() + 5
    while info(act, "used_memory") - before > 4e6:
        assert time.monotonic() < until, info(act, "used_memory") - before
        time.sleep(0.1)


def fields(reply):
    """A flat array, or a map, as a dictionary."""
    items = reply[1]
    return {items[i][1].decode(): items[i + 1][1] for i in range(0, len(items), 2)}


def subscribers(conn, *channels):
    items = conn.call("PUBSUB", "SUBSCRIBERS", *channels)[1]
    return {items[i][1].decode(): [fields(s) for s in items[i + 1][1]] for i in range(0, len(items), 2)}


@pytest.mark.parametrize("proto", ["2", "3"])
def test_subscribers(leat, subscriber, proto):
    act = Connection(leat.port)
    act.call("HELLO", proto)
    act.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
    assert subscribers(act, "news", "none") == {"news": [], "none": []}
    begun = time.time() * 1000
    quick = subscriber(leat.port, ["CLIENT", "SETNAME", "quick"], ["SUBSCRIBE", "news"])
    slow = subscriber(leat.port, ["CLIENT", "SETNAME", "slow"], ["SUBSCRIBE", "news"], small=True)
    subscriber(leat.port, ["PSUBSCRIBE", "n*"], ["UNSUBSCRIBE", "x"])
    got = subscribers(act, "news")["news"]
    assert [s["name"] for s in got] == [b"quick", b"slow", b""] and [s["pattern"] or None for s in got] == [None, None, b"n*"]
    for s in got:
        assert begun - 1000 <= int(s["since-ms"]) <= time.time() * 1000 + 1000
        assert s["addr"].startswith(b"127.0.0.1:") and s["delivered"] == s["lag-bytes"] == s["lag-messages"] == s["lag-ms"] == b"0"
    assert {s["addr"] for s in got} >= {b"127.0.0.1:%d" % one.socket.getsockname()[1] for one in (quick, slow)}
    for _ in range(10):
        publish(act, 1000)
        quick.read_frames(frame(b"news", MESSAGE), 1000)
    time.sleep(0.3)
    by_name = {s["name"]: s for s in subscribers(act, "news")["news"]}
    assert by_name[b"quick"]["delivered"] == b"10000" and by_name[b"quick"]["lag-messages"] == b"0"
    late = by_name[b"slow"]
    waiting, size = int(late["lag-messages"]), len(frame(b"news", MESSAGE))
    assert 0 < waiting and waiting + int(late["delivered"]) == 10000
    assert (waiting - 1) * size < int(late["lag-bytes"]) <= waiting * size
    assert 200 < int(late["lag-ms"]) < 60000
    assert late["lag-bytes"].decode() == client_line(act, "slow")["omem"]
    got = 0
    while got < 10000 * size:
        got += len(slow.socket.recv(1 << 20))
    time.sleep(0.1)
    assert {s["delivered"] for s in subscribers(act, "news")["news"] if s["name"]} == {b"10000"}


def test_subscribers_needs_a_channel(leat):
    act = Connection(leat.port)
    assert act.call("PUBSUB", "SUBSCRIBERS")[1] == b"ERR wrong number of arguments for 'pubsub|subscribers' command"


def test_half_closed_gets_what_was_published_before(either):
    act = Connection(either.port)
    with socket.create_connection(("127.0.0.1", either.port)) as s:
        s.settimeout(5)
        s.sendall(encode([b"SUBSCRIBE", b"news"]))
        assert s.recv(1000).endswith(b":1\r\n")
        assert act.call("PUBLISH", "news", "one")[1] == b"1"
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1000) == frame(b"news", b"one")


def test_idle_connections_keep_no_buffers(leat):
    act = Connection(leat.port)
    act.call("SET", "k", b"y" * 3000)
    conns = [Connection(leat.port) for _ in range(300)]
    assert all(len(c.call("GET", "k")[1]) == 3000 for c in conns)
    before = info(act, "used_memory")
    time.sleep(4)
    assert before - info(act, "used_memory") > 300 * 2500
    assert all(len(c.call("GET", "k")[1]) == 3000 for c in conns)
    for c in conns:
        c.close()
