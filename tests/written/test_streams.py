"""Streams without groups, where Debian's Redis 7.0 cannot be asked: what came later, each case with
the page that it follows, and what is leat's own (docs/streams.md)."""

import time

import pytest

from support.resp import Connection, encode, texts, to_bytes


@pytest.fixture
def conns(shared_leat):
    made = [Connection(shared_leat.port) for _ in range(3)]
    made[0].call("FLUSHALL")
    yield made
    made[0].call("CONFIG", "SET", "stream-retention", "")
    for conn in made:
        conn.close()


@pytest.fixture
def c(conns):
    return conns[0]


def info(conn, key):
    items = texts(conn.call("XINFO", "STREAM", key))
    return dict(zip(items[::2], items[1::2]))


def waits(conns, number, *args):
    """Sends a command that blocks, and returns when the server has it blocked."""
    before = blocked(conns[0])
    conns[number].send(encode([to_bytes(a) for a in args]))
    until = time.monotonic() + 5
    while blocked(conns[0]) != before + 1:
        assert time.monotonic() < until
        time.sleep(0.002)


def blocked(conn):
    clients = conn.call("INFO", "clients")[1].decode()
    return int(clients.split("blocked_clients:")[1].split()[0])


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class TestLastEntry:
    """https://redis.io/docs/latest/commands/xread/: "Starting from Redis 7.4.0 ... you can use the +
    special ID to request the last available entry in a stream"."""

    def test_last_one(self, c):
        for n in (1, 2, 3):
            c.call("XADD", "s", "%d-1" % n, "n", str(n))
        assert texts(c.call("XREAD", "STREAMS", "s", "+")) == [[b"s", [[b"3-1", [b"n", b"3"]]]]]
        assert texts(c.call("XREAD", "COUNT", "10", "STREAMS", "s", "+")) == [[b"s", [[b"3-1", [b"n", b"3"]]]]]

    def test_several(self, c):
        c.call("XADD", "a", "1-1", "f", "v")
        c.call("XADD", "b", "1-1", "f", "w")
        assert texts(c.call("XREAD", "STREAMS", "a", "nokey", "b", "+", "+", "0")) == [
            [b"a", [[b"1-1", [b"f", b"v"]]]], [b"b", [[b"1-1", [b"f", b"w"]]]]]

    def test_after_a_deletion(self, c):
        c.call("XADD", "s", "1-1", "f", "v")
        c.call("XADD", "s", "2-1", "f", "w")
        c.call("XDEL", "s", "2-1")
        assert texts(c.call("XREAD", "STREAMS", "s", "+")) == [[b"s", [[b"1-1", [b"f", b"v"]]]]]

    def test_waits_for_the_first(self, conns):
        conns[0].call("XADD", "s", "5-1", "f", "v")
        conns[0].call("XDEL", "s", "5-1")
        waits(conns, 1, "XREAD", "BLOCK", "0", "STREAMS", "s", "+")
        conns[0].call("XADD", "s", "6-1", "f", "w")
        assert texts(conns[1].read()[1]) == [[b"s", [[b"6-1", [b"f", b"w"]]]]]


class TestServedByRunningAgain:
    """Since 7.2 a client that is woken runs its command again, from the start
    (https://github.com/redis/redis/pull/11012): it gets what there is of all its streams."""

    def test_all_its_streams(self, conns):
        waits(conns, 1, "XREAD", "BLOCK", "0", "STREAMS", "a", "b", "$", "$")
        for args in (["MULTI"], ["XADD", "b", "1-1", "f", "v"], ["XADD", "a", "2-1", "f", "w"], ["EXEC"]):
            conns[0].call(*args)
        assert texts(conns[1].read()[1]) == [
            [b"a", [[b"2-1", [b"f", b"w"]]]], [b"b", [[b"1-1", [b"f", b"v"]]]]]

    def test_what_is_gone_again_serves_nobody(self, conns):
        waits(conns, 1, "XREAD", "BLOCK", "0", "STREAMS", "a", "$")
        conns[0].call("XADD", "a", "MAXLEN", "0", "1-1", "f", "v")
        assert blocked(conns[0]) == 1
        conns[0].call("XADD", "a", "2-1", "f", "w")
        assert texts(conns[1].read()[1]) == [[b"a", [[b"2-1", [b"f", b"w"]]]]]

    def test_dollar_means_what_it_meant(self, conns):
        conns[0].call("XADD", "a", "1-1", "f", "v")
        waits(conns, 1, "XREAD", "BLOCK", "0", "STREAMS", "a", "$")
        for args in (["MULTI"], ["XADD", "a", "2-1", "f", "v"], ["XADD", "a", "3-1", "f", "w"], ["EXEC"]):
            conns[0].call(*args)
        assert texts(conns[1].read()[1]) == [[b"a", [[b"2-1", [b"f", b"v"]], [b"3-1", [b"f", b"w"]]]]]


class TestApproximateTrims:
    """A named exception to Redis: `~` trims exactly where that costs no read from disk."""

    def test_exact(self, c):
        for n in range(1, 11):
            c.call("XADD", "s", "%d-0" % n, "n", str(n))
        assert texts(c.call("XTRIM", "s", "MAXLEN", "~", "7")) == 3
        assert texts(c.call("XTRIM", "s", "MINID", "~", "6")) == 2
        assert texts(c.call("XTRIM", "s", "MAXLEN", "~", "0", "LIMIT", "2")) == 2
        assert texts(c.call("XADD", "s", "MAXLEN", "~", "1", "11-0", "n", "11")) == b"11-0"
        assert texts(c.call("XRANGE", "s", "-", "+")) == [[b"11-0", [b"n", b"11"]]]


class TestRetention:
    """leat's own: XRETAIN and the setting stream-retention."""

    def test_bytes(self, c):
        for n in range(1000):
            c.call("XADD", "s", "%d-1" % (n + 1), "data", "x" * 100)
        assert texts(c.call("XRETAIN", "s", "BYTES", "20kb")) == b"OK"
        until(lambda: int(texts(c.call("XLEN", "s"))) < 1000)
        length = texts(c.call("XLEN", "s"))
        assert 100 <= length <= 20 * 1024 / 100
        assert info(c, "s")[b"retention"] == b"stream" and info(c, "s")[b"retention-bytes"] == 20480
        assert texts(c.call("XREVRANGE", "s", "+", "-", "COUNT", "1"))[0][0] == b"1000-1"

    def test_age(self, c):
        now = int(time.time() * 1000)
        c.call("XADD", "s", "%d-0" % (now - 100000), "n", "old")
        c.call("XADD", "s", "%d-0" % now, "n", "new")
        c.call("XRETAIN", "s", "AGE", "50s")
        until(lambda: texts(c.call("XLEN", "s")) == 1)
        assert texts(c.call("XRANGE", "s", "-", "+"))[0][1] == [b"n", b"new"]

    def test_until_acknowledged_by_every_group(self, c):
        for n in range(1, 5):
            c.call("XADD", "s", "%d-0" % n, "n", str(n))
        c.call("XRETAIN", "s", "UNTIL-ACKED")
        time.sleep(0.4)
        assert texts(c.call("XLEN", "s")) == 4  # nobody has read it: everything is kept
        c.call("XGROUP", "CREATE", "s", "slow", "0")
        c.call("XGROUP", "CREATE", "s", "quick", "0")
        for group, count in (("quick", "4"), ("slow", "2")):
            c.call("XREADGROUP", "GROUP", group, "one", "COUNT", count, "STREAMS", "s", ">")
        c.call("XACK", "s", "quick", "1-0", "2-0", "3-0", "4-0")
        c.call("XACK", "s", "slow", "2-0")
        time.sleep(0.4)
        assert texts(c.call("XLEN", "s")) == 4
        c.call("XACK", "s", "slow", "1-0")
        until(lambda: texts(c.call("XLEN", "s")) == 2)
        assert [e[0] for e in texts(c.call("XRANGE", "s", "-", "+"))] == [b"3-0", b"4-0"]

    def test_patterns_and_what_a_stream_has_of_its_own(self, c):
        assert texts(c.call("CONFIG", "SET", "stream-retention", "ev:* age=1h  ev* bytes=1mb until-acked")) == b"OK"
        for key in ("ev:1", "events", "other"):
            c.call("XADD", key, "*", "f", "v")
        assert info(c, "ev:1")[b"retention"] == b"pattern" and info(c, "ev:1")[b"retention-age-ms"] == 3600000
        assert info(c, "events")[b"retention-bytes"] == 1 << 20 and info(c, "events")[b"retention-until-acked"] == 1
        assert info(c, "other")[b"retention"] == b"none"
        c.call("XRETAIN", "ev:1", "BYTES", "5gb")
        assert info(c, "ev:1")[b"retention"] == b"stream" and info(c, "ev:1")[b"retention-age-ms"] == 0
        c.call("XRETAIN", "ev:1", "DEFAULT")
        assert info(c, "ev:1")[b"retention"] == b"pattern"

    @pytest.mark.parametrize("value", ["ev*", "age=7d", "ev* age=x", "ev* bytes=0", "ev* age=0s", 'ev* "age=1s', "a b age=1s"])
    def test_settings_that_make_no_sense(self, c, value):
        reply = c.call("CONFIG", "SET", "stream-retention", value)
        assert reply[0] == b"-" and b"stream-retention" in reply[1]

    @pytest.mark.parametrize("args", [["AGE"], ["AGE", "0"], ["AGE", "-1"], ["AGE", "x"], ["BYTES", "0"],
                                      ["BYTES", "1.5gb"], ["DEFAULT", "AGE", "1d"], ["FOREVER"]])
    def test_errors(self, c, args):
        c.call("XADD", "s", "*", "f", "v")
        assert c.call("XRETAIN", "s", *args)[0] == b"-"
        assert info(c, "s")[b"retention"] == b"none"

    def test_no_stream(self, c):
        assert texts(c.call("XRETAIN", "nokey", "AGE", "1d")) == b"ERR no such key"
        c.call("SET", "text", "x")
        assert texts(c.call("XRETAIN", "text", "AGE", "1d")).startswith(b"WRONGTYPE")

    def test_heard_like_a_trim(self, conns):
        conns[0].call("CONFIG", "SET", "notify-keyspace-events", "Kt")
        conns[1].call("SUBSCRIBE", "__keyspace@0__:s")
        conns[0].call("XADD", "s", "1-1", "f", "v")
        conns[0].call("XRETAIN", "s", "AGE", "1s")
        heard = [texts(conns[1].read()[1])[2] for _ in range(3)]
        conns[0].call("CONFIG", "SET", "notify-keyspace-events", "")
        assert heard == [b"xadd", b"xretain", b"xtrim"]
