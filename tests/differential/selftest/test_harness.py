"""The differential test tested: it is silent where both sides are alike, and not where they differ."""

import argparse
import os
import signal
import socket
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import compare  # noqa: E402
import exceptions  # noqa: E402
import families  # noqa: E402
import run  # noqa: E402
from engine import Runner, shorten  # noqa: E402
from support import resp  # noqa: E402
from support.servers import Redis  # noqa: E402


class LyingProxy(threading.Thread):
    """Stands before a redis-server and replaces one reply by another, wherever it is seen whole."""

    def __init__(self, target, truth, lie):
        super().__init__(daemon=True)
        self.target, self.truth, self.lie = target, truth, lie
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, sink, lying):
        try:
            while True:
                data = source.recv(262144)
                if not data:
                    break
                sink.sendall(data.replace(self.truth, self.lie) if lying else data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture(scope="module")
def two():
    with Redis() as one, Redis() as other:
        yield one.start(), other.start()


@pytest.mark.parametrize("family", list(families.all_sequences()))
def test_redis_is_like_redis(two, family):
    runner = Runner(two[0].port, two[1].port)
    for number in range(2):
        found = runner.run(run.sequence(family, 99, number, 120))
        assert found is None, (found.step.show(), found.redis, found.leat)


@pytest.mark.parametrize("family", ["keys", "blocking", "groupscareful", "malformed"])
def test_a_server_that_stalls_is_no_difference(two, family):
    """Nor is a machine that does: one server is stopped for some seconds amid the sequences."""
    runner, server = Runner(two[0].port, two[1].port), two[1].process

    def stall():
        time.sleep(0.1)
        server.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        server.send_signal(signal.SIGCONT)
    thread = threading.Thread(target=stall)
    thread.start()
    try:
        number = 0
        while thread.is_alive():
            found = runner.run(run.sequence(family, 99, number, 120))
            assert found is None, (found.step.show(), found.redis, found.leat)
            number += 1
    finally:
        thread.join()


def test_clocks_are_held_to_what_the_exchanges_took():
    skew = compare.Skew()
    assert skew.allows(b"1000", b"1400", 400) and not skew.allows(b"1000", b"1401", 400)
    assert skew.allows(b"100", b"99", 1, 1000) and not skew.allows(b"100", b"98", 1, 1000)
    skew.saw(0.1)  # nothing out of the ordinary
    assert not skew.allows(b"1000", b"1401", 400) and not skew.allows(b"100", b"98", 1, 1000)
    skew.saw(3)
    assert skew.allows(b"0", b"6000", 400) and not skew.allows(b"0", b"6002", 400)
    skew.forget()
    assert not skew.allows(b"0", b"6000", 400)


@pytest.mark.parametrize("family, truth, lie", [
    ("strings", b"not an integer", b"no integer"),
    ("keys", b":0\r\n", b":1\r\n"),
    ("hashes", b"$2\r\nf2\r\n", b"$2\r\nf3\r\n"),
    ("sets", b":3\r\n", b":4\r\n"),
    ("zsets", b"$1\r\na\r\n", b"$1\r\nA\r\n"),
    ("transactions", b"EXECABORT", b"EXECABROT"),
    ("connection", b"NOPROTO", b"ERR"),
    ("pubsub", b"$7\r\nmessage\r\n", b"$7\r\nMessage\r\n"),
    ("notifications", b"keyspace@0", b"keyspace@1"),
    ("commandinfo", b"+write\r\n", b"+wrote\r\n"),
    ("malformed", b"expected '$'", b"expected $"),
    ("blocking", b"$2\r\nm1\r\n", b"$2\r\nm7\r\n"),
    ("encodings", b"$6\r\nintset\r\n", b"$6\r\nintest\r\n"),
])
def test_a_lie_is_found(two, family, truth, lie):
    proxy = LyingProxy(two[1].port, truth, lie)
    runner = Runner(two[0].port, proxy.port)
    for number in range(8):
        if runner.run(run.sequence(family, 5, number, 240)):
            return
    pytest.fail("eight sequences of %s did not see it" % family)


def test_a_failure_is_shortened(two):
    proxy = LyingProxy(two[1].port, b"-WRONGTYPE", b"-WRONGTYP")
    runner = Runner(two[0].port, proxy.port)
    steps = run.sequence("mixed", 3, 0, 240)
    found = runner.run(steps)
    short, again = shorten(runner, steps, found)
    assert again.leat.startswith(b"-WRONGTYP ")
    assert len(short) <= 3, [s.show() for s in short]


def reply(data):
    return data, resp.parse(data)[0]


SAME = [
    (["GET", "k"], b"$1\r\na\r\n", b"$1\r\na\r\n", True),
    (["GET", "k"], b"$1\r\na\r\n", b"+a\r\n", False),
    (["GET", "k"], b"$-1\r\n", b"_\r\n", False),
    (["SMEMBERS", "k"], b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n", True),
    (["SMEMBERS", "k"], b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\nb\r\n", False),
    (["SMEMBERS", "k"], b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n", False),
    (["LRANGE", "k"], b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n", False),
    (["HGETALL", "k"], b"*4\r\n+a\r\n+1\r\n+b\r\n+2\r\n", b"*4\r\n+b\r\n+2\r\n+a\r\n+1\r\n", True),
    (["HGETALL", "k"], b"*4\r\n+a\r\n+1\r\n+b\r\n+2\r\n", b"*4\r\n+a\r\n+2\r\n+b\r\n+1\r\n", False),
    (["TTL", "k"], b":100\r\n", b":99\r\n", True),
    (["TTL", "k"], b":100\r\n", b":98\r\n", False),
    (["TTL", "k"], b":-1\r\n", b":-2\r\n", False),
    (["TTL", "k"], b":0\r\n", b":-1\r\n", False),
]


def test_exceptions_are_narrow():
    def covered(args, one, other):
        found = exceptions.covering([a.encode() for a in args], reply(one)[1], reply(other)[1])
        return found and found.name
    long, short = b"$22\r\n1.2345678901234567e+19\r\n", b"$20\r\n12345678901234567000\r\n"
    assert covered(["ZSCORE", "z", "m"], long, short) == "shortest-double"
    assert covered(["GET", "z"], long, short) is None
    assert covered(["ZSCORE", "z", "m"], b"$2\r\n-0\r\n", b"$1\r\n0\r\n") is None
    assert covered(["ZRANGE", "z"], b"*2\r\n+a\r\n" + long, b"*2\r\n+b\r\n" + short) is None
    assert covered(["ZRANGE", "z"], b"*2\r\n+a\r\n" + long, b"*2\r\n" + short + b"+a\r\n") is None
    assert covered(["OBJECT", "ENCODING", "t"], b"$9\r\nhashtable\r\n", b"$8\r\nlistpack\r\n") == "set-listpack"
    assert covered(["OBJECT", "ENCODING", "t"], b"$8\r\nlistpack\r\n", b"$9\r\nhashtable\r\n") is None


@pytest.mark.parametrize("args, one, other, same", SAME)
def test_what_counts_as_the_same(args, one, other, same):
    args = [a.encode() for a in args]
    assert compare.same_reply(args, reply(one), reply(other)) is same


def test_sequences_are_a_function_of_the_seed():
    for family in families.all_sequences():
        shown = [[s.show() for s in run.sequence(family, seed, 0, 100)] for seed in (1, 1, 2)]
        assert shown[0] == shown[1]
        assert shown[0] != shown[2] or family in ("commandinfo",)


def test_an_unreachable_server_is_not_a_pass(monkeypatch):
    options = argparse.Namespace(seed=1, first=0, rounds=1, seconds=None, length=10, alive=None, show=3)
    with Redis() as one:
        one.start()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            passed, failed = run.compare_servers(one.port, s.getsockname()[1], ["strings"], options)
    assert (passed, failed) == (0, 1)
