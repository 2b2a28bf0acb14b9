"""Streams without groups, where Debian's Redis 7.0 cannot be asked: what came later, each case with
the page that it follows, and what is leat's own (docs/streams.md)."""

import time

import pytest

from support.resp import Connection, encode, texts
from support.servers import Leat
from support.waiting import blocked, waits


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


class TestFigures:
    """XINFO STREAM's figures of Redis's radix tree are here those of the index: a key per block of 64 KB, and one
    node more; leat's own come at the end."""

    def test_they_grow_with_the_stream(self, c):
        seen = []
        for n in range(1, 5):
            for i in range(200):
                c.call("XADD", "s", "%d-%d" % (n, i + 1), "data", "x" * 1000)
            seen.append((info(c, "s")[b"radix-tree-keys"], info(c, "s")[b"radix-tree-nodes"]))
        assert seen == sorted(set(seen)) and all(nodes == keys + 1 for keys, nodes in seen)
        assert 800 * 1000 // 65536 <= seen[-1][0] <= 800 * 1000 // 65536 + 3
        c.call("XTRIM", "s", "MAXLEN", "10")
        assert info(c, "s")[b"radix-tree-keys"] <= 2

    def test_what_is_ours_is_last(self, c):
        c.call("XADD", "s", "1-1", "f", "v")
        own = [b"bytes-in-memory", b"bytes-on-disk", b"retention", b"retention-age-ms", b"retention-bytes", b"retention-until-acked"]
        assert list(info(c, "s"))[-6:] == own
        assert texts(c.call("XINFO", "STREAM", "s", "FULL"))[::2][-6:] == own


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
        until(lambda: b"retention_held_stream:s\r\nretention_held_group:slow\r\n" in c.call("INFO", "streams")[1])

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


class TestIdempotentProduction:
    """https://redis.io/docs/latest/develop/data-types/streams/idempotency/, /commands/xadd/ and
    /commands/xcfgset/ (Redis 8.6)."""

    def add(self, c, *options, fields=("f", "v")):
        return texts(c.call("XADD", "s", *options, "*", *fields))

    def test_the_same_id_is_answered_and_nothing_added(self, c):
        first = self.add(c, "IDMP", "p1", "i1")
        assert self.add(c, "IDMP", "p1", "i1") == first
        assert self.add(c, "idmp", "p1", "i1", fields=("other", "content")) == first
        assert texts(c.call("XLEN", "s")) == 1
        assert self.add(c, "IDMP", "p1", "i2") != first
        assert self.add(c, "IDMP", "p2", "i1") != first  # producers do not know of each other
        assert texts(c.call("XLEN", "s")) == 3

    def test_automatic_ids_are_made_of_the_content(self, c):
        first = self.add(c, "IDMPAUTO", "p1")
        assert self.add(c, "IDMPAUTO", "p1") == first
        assert self.add(c, "IDMPAUTO", "p1", fields=("f", "w")) != first
        assert self.add(c, "IDMPAUTO", "p1", fields=("fv", "")) != first
        assert self.add(c, "IDMPAUTO", "p2") != first
        assert texts(c.call("XLEN", "s")) == 4

    def test_with_other_options(self, c):
        assert texts(c.call("XADD", "s", "NOMKSTREAM", "IDMP", "p", "i", "*", "f", "v")) is None
        first = self.add(c, "MAXLEN", "1", "IDMP", "p", "i")
        assert self.add(c, "IDMP", "p", "i", "MAXLEN", "0") == first
        assert texts(c.call("XLEN", "s")) == 1  # a duplicate does not trim either

    @pytest.mark.parametrize("args,error", [
        (["IDMP", "p", "i", "1-1", "f", "v"], "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs"),
        (["IDMPAUTO", "p", "5-*", "f", "v"], "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs"),
        (["IDMP", "p", "*", "f", "v"], "ERR Invalid stream ID"),
        (["IDMP", "p", "i", "IDMPAUTO", "p", "*", "f", "v"], "ERR IDMP/IDMPAUTO specified multiple times"),
        (["IDMP", "", "i", "*", "f", "v"], "ERR"), (["IDMP", "p", "", "*", "f", "v"], "ERR"),
        (["IDMPAUTO", "", "*", "f", "v"], "ERR")])
    def test_errors(self, c, args, error):
        assert texts(c.call("XADD", "s", *args)).startswith(error.encode())
        assert texts(c.call("EXISTS", "s")) == 0

    def test_only_the_newest_are_known(self, c):
        self.add(c)
        c.call("XCFGSET", "s", "IDMP-MAXSIZE", "2")
        ids = [self.add(c, "IDMP", "p", i) for i in ("a", "b", "c")]
        assert self.add(c, "IDMP", "p", "c") == ids[2] and self.add(c, "IDMP", "p", "b") == ids[1]
        assert self.add(c, "IDMP", "p", "a") not in ids

    def test_only_for_a_while(self, c):
        self.add(c)
        c.call("XCFGSET", "s", "IDMP-DURATION", "2")
        first = self.add(c, "IDMP", "p", "i")
        assert self.add(c, "IDMP", "p", "i") == first
        time.sleep(2.05)
        assert self.add(c, "IDMP", "p", "i") != first
        time.sleep(2.05)
        until(lambda: info(c, "s")[b"iids-tracked"] == 0, 5)
        told = info(c, "s")
        assert told[b"pids-tracked"] == 0 and told[b"iids-added"] == 2

    def test_figures(self, c):
        self.add(c)
        assert b"idmp-duration" not in info(c, "s")  # not in use
        for pid, iid in (("p", "1"), ("p", "2"), ("q", "1"), ("p", "1"), ("p", "1")):
            self.add(c, "IDMP", pid, iid)
        told = info(c, "s")
        names = [b"idmp-duration", b"idmp-maxsize", b"pids-tracked", b"iids-tracked", b"iids-added", b"iids-duplicates"]
        assert [told[n] for n in names] == [100, 100, 2, 3, 3, 2]
        order = list(told)
        at = order.index(b"recorded-first-entry-id")
        assert order[at + 1:at + 7] == names and order[at + 7] == b"groups"
        assert b"iids-added" in texts(c.call("XINFO", "STREAM", "s", "FULL"))

    def test_new_limits_forget_all(self, c):
        first = self.add(c, "IDMP", "p", "i")
        assert texts(c.call("XCFGSET", "s", "IDMP-DURATION", "100", "IDMP-MAXSIZE", "100")) == b"OK"
        assert self.add(c, "IDMP", "p", "i") == first  # the same as before
        assert texts(c.call("XCFGSET", "s", "idmp-duration", "300")) == b"OK"
        assert info(c, "s")[b"idmp-duration"] == 300 and info(c, "s")[b"iids-tracked"] == 0
        assert self.add(c, "IDMP", "p", "i") != first

    @pytest.mark.parametrize("args,error", [
        ([], "ERR"), (["IDMP-DURATION"], "ERR syntax"), (["IDMP-DURATION", "0"], "ERR invalid duration"),
        (["IDMP-DURATION", "86401"], "ERR invalid duration"), (["IDMP-MAXSIZE", "0"], "ERR invalid maxsize"),
        (["IDMP-MAXSIZE", "10001"], "ERR invalid maxsize"), (["IDMP-MAXSIZE", "x"], "ERR value is not an integer"),
        (["NIX", "1"], "ERR syntax")])
    def test_limits_that_make_no_sense(self, c, args, error):
        self.add(c)
        assert texts(c.call("XCFGSET", "s", *args)).startswith(error.encode())
        assert texts(c.call("XCFGSET", "nokey", "IDMP-MAXSIZE", "5")) == b"ERR no such key"

    def test_copied_with_its_stream(self, c):
        first = self.add(c, "IDMP", "p", "i")
        c.call("COPY", "s", "t")
        assert texts(c.call("XADD", "t", "IDMP", "p", "i", "*", "f", "v")) == first

    def test_known_after_a_restart(self):
        with Leat() as server:
            server.start()
            c = Connection(server.port)
            first, auto = self.add(c, "IDMP", "p", "i"), self.add(c, "IDMPAUTO", "p")
            c.call("XCFGSET", "s", "IDMP-MAXSIZE", "100")
            for how in ("journal", "snapshot"):
                if how == "snapshot":
                    c.call("BGSAVE")
                    until(lambda: b"rdb_bgsave_in_progress:0" in c.call("INFO", "persistence")[1])
                server.kill()
                server.start()
                c = Connection(server.port)
                assert self.add(c, "IDMP", "p", "i") == first and self.add(c, "IDMPAUTO", "p") == auto
                assert texts(c.call("XLEN", "s")) == 2 and info(c, "s")[b"iids-added"] == 2
