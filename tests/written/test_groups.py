"""Consumer groups where Debian's Redis 7.0 cannot be asked: what came later, each case with the page that
it follows, and what is leat's own."""

import random
import time

import pytest

from support.resp import Connection, encode, texts, to_bytes
from support.servers import Leat
from support.waiting import blocked, waits


@pytest.fixture
def conns(shared_leat):
    made = [Connection(shared_leat.port) for _ in range(3)]
    made[0].call("FLUSHALL")
    yield made
    for conn in made:
        conn.close()


@pytest.fixture
def c(conns):
    return conns[0]


def is_error(reply, text):
    return reply[0] == b"-" and text.encode() in reply[1]


def maps(reply):
    return [dict(zip(m[::2], m[1::2])) for m in texts(reply)]


def fill(c, key, count, *groups):
    for n in range(1, count + 1):
        c.call("XADD", key, "%d-0" % n, "n", str(n))
    for name in groups:
        c.call("XGROUP", "CREATE", key, name, "0")


def ids(reply):
    return [entry[0].decode() for entry in texts(reply)]


def pending(c, key, group, *consumer):
    return [(e[0].decode(), e[1].decode(), e[3]) for e in texts(c.call("XPENDING", key, group, "-", "+", "1000", *consumer))]


def read(c, key, group, consumer, *options):
    reply = texts(c.call("XREADGROUP", "GROUP", group, consumer, *options, "STREAMS", key, ">"))
    return [] if reply is None else [e[0].decode() for e in reply[0][1]]


class TestConsumersOf72:
    """https://redis.io/docs/latest/commands/xinfo-consumers/: "idle: the number of milliseconds that have
    passed since the consumer's last attempted interaction", "inactive: ... last successful interaction"
    (since 7.2.0); and since 7.2 every command that names a consumer creates it (redis/redis#11099)."""

    def test_inactive(self, c):
        fill(c, "s", 2, "g")
        c.call("XGROUP", "CREATECONSUMER", "s", "g", "idler")
        assert read(c, "s", "g", "worker") == ["1-0", "2-0"]
        time.sleep(0.05)
        asked = time.monotonic()
        assert read(c, "s", "g", "worker") == []
        idler, worker = maps(c.call("XINFO", "CONSUMERS", "s", "g"))
        assert idler[b"inactive"] == -1 and idler[b"name"] == b"idler"
        assert 0 <= worker[b"idle"] <= (time.monotonic() - asked) * 1000 + 1
        assert worker[b"inactive"] >= worker[b"idle"] + 49

    def test_times_in_full(self, c):
        fill(c, "s", 1, "g")
        c.call("XGROUP", "CREATECONSUMER", "s", "g", "idler")
        now = time.time() * 1000
        read(c, "s", "g", "worker")
        full = c.call("XINFO", "STREAM", "s", "FULL")
        groups = texts(full)[texts(full).index(b"groups") + 1]
        idler, worker = (dict(zip(m[::2], m[1::2])) for m in groups[0][groups[0].index(b"consumers") + 1])
        assert idler[b"active-time"] == -1 and abs(idler[b"seen-time"] - now) < 5000
        assert abs(worker[b"active-time"] - now) < 5000 and worker[b"pel-count"] == 1

    def test_created_for_nothing(self, c):
        fill(c, "s", 1, "g")
        assert texts(c.call("XCLAIM", "s", "g", "a", "0", "1-0")) == []
        assert texts(c.call("XAUTOCLAIM", "s", "g", "b", "0", "0"))[1] == []
        read(c, "s", "g", "c")
        read(c, "s", "g", "d")
        assert [m[b"name"] for m in maps(c.call("XINFO", "CONSUMERS", "s", "g"))] == [b"a", b"b", b"c", b"d"]


class TestWaitingOf72:
    """Since 7.2 a client that is woken runs its command again (redis/redis#11012): the error is that of the
    command, and nothing empty is replied."""

    GONE = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"

    def wait(self, conns):
        conns[0].call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        waits(conns, 1, "XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")

    @pytest.mark.parametrize("way", [["DEL", "s"], ["XGROUP", "DESTROY", "s", "g"], ["RENAME", "s", "t"], ["FLUSHALL"],
                                     ["PEXPIREAT", "s", "1"]])
    def test_gone(self, conns, way):
        self.wait(conns)
        conns[0].call(*way)
        assert is_error(conns[1].read()[1], self.GONE)

    def test_of_another_type(self, conns):
        self.wait(conns)
        conns[0].call("SET", "s", "x")
        assert is_error(conns[1].read()[1], "WRONGTYPE")

    def test_nothing_empty(self, conns):
        self.wait(conns)
        for args in (["MULTI"], ["XADD", "s", "1-0", "f", "v"], ["XDEL", "s", "1-0"], ["EXEC"]):
            conns[0].call(*args)
        assert blocked(conns[0]) == 1
        conns[0].call("XADD", "s", "2-0", "f", "v")
        assert ids((b"*", conns[1].read()[1][1][0][1][1][1])) == ["2-0"]

    def test_moved_back(self, conns):
        fill(conns[0], "s", 2)
        self.wait(conns)
        conns[0].call("XGROUP", "SETID", "s", "g", "1")
        assert texts(conns[1].read()[1]) == [[b"s", [[b"2-0", [b"n", b"2"]]]]]


class TestXackdel:
    """https://redis.io/docs/latest/commands/xackdel/: "1 if the entry was acknowledged and deleted", "2 if
    the entry was acknowledged but not deleted, as there are still dangling references (ACKED option)",
    "-1 if no such ID exists in the provided stream key", "-1 for each requested ID when the given key does
    not exist" (since 8.2.0)."""

    def test_keepref_is_the_default(self, c):
        fill(c, "s", 3, "g", "h")
        read(c, "s", "g", "a")
        read(c, "s", "h", "b")
        assert texts(c.call("XACKDEL", "s", "g", "IDS", "2", "1-0", "9-0")) == [1, -1]
        assert texts(c.call("XACKDEL", "s", "g", "keepref", "IDS", "1", "2-0")) == [1]
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["3-0"]
        assert [e[0] for e in pending(c, "s", "g")] == ["3-0"]
        assert [e[0] for e in pending(c, "s", "h")] == ["1-0", "2-0", "3-0"]

    def test_delref(self, c):
        fill(c, "s", 3, "g", "h")
        read(c, "s", "g", "a")
        read(c, "s", "h", "b")
        c.call("XDEL", "s", "3-0")
        assert texts(c.call("XACKDEL", "s", "g", "DELREF", "IDS", "2", "1-0", "3-0")) == [1, -1]
        assert [e[0] for e in pending(c, "s", "g")] == [e[0] for e in pending(c, "s", "h")] == ["2-0"]

    def test_acked(self, c):
        fill(c, "s", 2, "g", "h")
        read(c, "s", "g", "a")
        assert texts(c.call("XACKDEL", "s", "g", "ACKED", "IDS", "1", "1-0")) == [2]  # h has not got it
        read(c, "s", "h", "b")
        assert texts(c.call("XACKDEL", "s", "g", "ACKED", "IDS", "1", "2-0")) == [2]  # h has it pending
        assert texts(c.call("XACKDEL", "s", "h", "ACKED", "IDS", "2", "1-0", "2-0")) == [1, 1]
        assert texts(c.call("XLEN", "s")) == 0

    def test_no_key_or_group(self, c):
        assert texts(c.call("XACKDEL", "nokey", "g", "IDS", "2", "1-0", "2-0")) == [-1, -1]
        fill(c, "s", 1)
        assert texts(c.call("XACKDEL", "s", "nogroup", "IDS", "1", "1-0")) == [-1]

    @pytest.mark.parametrize("args", [["IDS", "0", "1-0"], ["IDS", "x", "1-0"], ["IDS", "2", "1-0"], ["IDS", "1", "x"],
                                      ["KEEPREF", "ACKED", "IDS", "1", "1-0"], ["IDS", "1", "1-0", "2-0"]])
    def test_errors(self, c, args):
        fill(c, "s", 1, "g")
        assert c.call("XACKDEL", "s", "g", *args)[0] == b"-"
        assert c.call("XDELEX", "s", *args)[0] == b"-"

    def test_named_twice(self, c):
        fill(c, "s", 2, "g")
        read(c, "s", "g", "a")
        assert texts(c.call("XACKDEL", "s", "g", "IDS", "2", "1-0", "1-0", "KEEPREF")) == [1, -1]


class TestXdelex:
    """https://redis.io/docs/latest/commands/xdelex/: "1 if the entry was deleted from the stream", "2 if the
    entry was not deleted and there are still existing references (ACKED option); also, if there are no
    consumer groups", "-1 if no such ID exists", "The IDS block can be at any position" (since 8.2.0)."""

    def test_options(self, c):
        fill(c, "s", 4, "g")
        read(c, "s", "g", "a")
        c.call("XACK", "s", "g", "4-0")
        assert texts(c.call("XDELEX", "s", "IDS", "2", "1-0", "1-0")) == [1, -1]
        assert texts(c.call("XDELEX", "s", "IDS", "2", "2-0", "1-0", "DELREF")) == [1, -1]
        assert texts(c.call("XDELEX", "s", "ACKED", "IDS", "3", "3-0", "4-0", "5-0")) == [2, 1, -1]
        assert [e[0] for e in pending(c, "s", "g")] == ["3-0"]
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["3-0"]

    def test_without_groups(self, c):
        fill(c, "s", 1)
        assert texts(c.call("XDELEX", "s", "ACKED", "IDS", "1", "1-0")) == [2]
        assert texts(c.call("XDELEX", "nokey", "IDS", "2", "1-0", "2-0")) == [-1, -1]

    def test_event(self, conns):
        fill(conns[0], "s", 2)
        conns[0].call("CONFIG", "SET", "notify-keyspace-events", "KEA")
        conns[1].call("PSUBSCRIBE", "__keyevent@0__:x*")
        conns[0].call("XDELEX", "s", "IDS", "1", "9-0")
        conns[0].call("XDELEX", "s", "IDS", "1", "2-0")
        assert texts(conns[1].read()[1])[2:] == [b"__keyevent@0__:xdel", b"s"]
        conns[0].call("CONFIG", "SET", "notify-keyspace-events", "")


class TestTrimsAndReferences:
    """https://redis.io/docs/latest/commands/xtrim/: "KEEPREF ... preserves existing references", "DELREF ...
    also removes all references to these entries from all consumer groups' PEL", "ACKED ... only removes
    entries that were read and acknowledged by all consumer groups"; "If there are no consumer groups, these
    arguments have no effect" (since 8.2.0)."""

    def test_keepref(self, c):
        fill(c, "s", 4, "g")
        read(c, "s", "g", "a")
        assert texts(c.call("XTRIM", "s", "MAXLEN", "2", "KEEPREF")) == 2
        assert len(pending(c, "s", "g")) == 4

    def test_delref(self, c):
        fill(c, "s", 4, "g", "h")
        read(c, "s", "g", "a")
        read(c, "s", "h", "a", "COUNT", "1")
        assert texts(c.call("XTRIM", "s", "MINID", "3", "DELREF")) == 2
        assert [e[0] for e in pending(c, "s", "g")] == ["3-0", "4-0"]
        assert pending(c, "s", "h") == []

    def test_acked(self, c):
        fill(c, "s", 6, "g", "h")
        read(c, "s", "g", "a")
        read(c, "s", "h", "a", "COUNT", "5")
        c.call("XACK", "s", "g", "1-0", "2-0", "4-0", "5-0", "6-0")
        c.call("XACK", "s", "h", "1-0", "2-0", "3-0", "4-0", "5-0")
        assert texts(c.call("XTRIM", "s", "MAXLEN", "3", "ACKED")) == 3
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["3-0", "5-0", "6-0"]
        assert texts(c.call("XTRIM", "s", "MAXLEN", "0", "ACKED")) == 1  # h has not got 6-0
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["3-0", "6-0"]

    def test_acked_by_id(self, c):
        fill(c, "s", 4, "g")
        read(c, "s", "g", "a")
        c.call("XACK", "s", "g", "2-0", "3-0", "4-0")
        assert texts(c.call("XTRIM", "s", "MINID", "4", "ACKED")) == 2
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["1-0", "4-0"]

    def test_xadd(self, c):
        fill(c, "s", 3, "g")
        read(c, "s", "g", "a")
        c.call("XACK", "s", "g", "1-0")
        c.call("XADD", "s", "MAXLEN", "=", "1", "ACKED", "4-0", "n", "4")
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["2-0", "3-0", "4-0"]
        c.call("XADD", "s", "DELREF", "MAXLEN", "=", "1", "5-0", "n", "5")
        assert ids(c.call("XRANGE", "s", "-", "+")) == ["5-0"] and pending(c, "s", "g") == []

    def test_without_groups(self, c):
        fill(c, "s", 3)
        assert texts(c.call("XTRIM", "s", "MAXLEN", "1", "ACKED")) == 2


class TestReadAndClaim:
    """https://redis.io/docs/latest/commands/xreadgroup/, "The CLAIM option": "first try to claim messages which
    have been pending for at least min-idle-time milliseconds ... The pending messages with the highest idle
    time would be claimed first"; each with "Milliseconds since the last time this entry was delivered" and
    "Number of times this entry was previously delivered"; "may become true for some pending entries during
    the BLOCK milliseconds period"; "NOACK does not apply for retrieved pending entries" (since 8.4.0)."""

    def claim(self, c, consumer, ms, *options):
        reply = texts(c.call("XREADGROUP", "GROUP", "g", consumer, *options, "CLAIM", str(ms), "STREAMS", "s", ">"))
        return [] if reply is None else reply[0][1]

    def test_oldest_first_then_new_ones(self, c):
        fill(c, "s", 5, "g")
        read(c, "s", "g", "a", "COUNT", "3")
        c.call("XCLAIM", "s", "g", "a", "0", "2-0", "IDLE", "500000", "RETRYCOUNT", "7")
        c.call("XCLAIM", "s", "g", "a", "0", "3-0", "IDLE", "400000", "JUSTID")
        got = self.claim(c, "b", 100000)
        assert [e[0] for e in got] == [b"2-0", b"3-0", b"4-0", b"5-0"]
        assert [e[3] for e in got] == [7, 1, 0, 0]
        assert 500000 <= got[0][2] < 510000 and 400000 <= got[1][2] < 410000 and got[2][2] == 0
        assert got[0][1] == [b"n", b"2"]
        assert pending(c, "s", "g") == [("1-0", "a", 1), ("2-0", "b", 8), ("3-0", "b", 2), ("4-0", "b", 1), ("5-0", "b", 1)]

    def test_count(self, c):
        fill(c, "s", 6, "g")
        read(c, "s", "g", "a", "COUNT", "4")
        time.sleep(0.01)  # else all have been idle for the same time
        assert [e[0] for e in self.claim(c, "b", 0, "COUNT", "3")] == [b"1-0", b"2-0", b"3-0"]
        assert [e[0] for e in self.claim(c, "c", 0, "COUNT", "5")] == [b"4-0", b"1-0", b"2-0", b"3-0", b"5-0"]

    def test_noack(self, c):
        fill(c, "s", 2, "g")
        read(c, "s", "g", "a", "COUNT", "1")
        assert [e[0] for e in self.claim(c, "b", 0, "NOACK")] == [b"1-0", b"2-0"]
        assert pending(c, "s", "g") == [("1-0", "b", 2)]

    def test_history_ignores_it(self, c):
        fill(c, "s", 2, "g")
        read(c, "s", "g", "a")
        reply = texts(c.call("XREADGROUP", "GROUP", "g", "b", "CLAIM", "0", "STREAMS", "s", "0"))
        assert reply == [[b"s", []]]

    def test_what_is_deleted_stays_pending(self, c):
        fill(c, "s", 3, "g")
        read(c, "s", "g", "a")
        c.call("XDEL", "s", "1-0")
        assert [e[0] for e in self.claim(c, "b", 0, "COUNT", "2")] == [b"2-0", b"3-0"]
        assert pending(c, "s", "g")[0] == ("1-0", "a", 1)

    def test_becomes_idle_while_it_waits(self, conns):
        fill(conns[0], "s", 1, "g")
        read(conns[0], "s", "g", "a")
        began = time.monotonic()
        waits(conns, 1, "XREADGROUP", "GROUP", "g", "b", "BLOCK", "20000", "CLAIM", "300", "STREAMS", "s", ">")
        entry = texts(conns[1].read()[1])[0][1][0]
        assert 0.25 < time.monotonic() - began < 5
        assert entry[0] == b"1-0" and 300 <= entry[2] < 5000 and entry[3] == 1

    def test_new_ones_end_the_wait(self, conns):
        fill(conns[0], "s", 1, "g")
        read(conns[0], "s", "g", "a")
        waits(conns, 1, "XREADGROUP", "GROUP", "g", "b", "BLOCK", "0", "CLAIM", "1000000", "STREAMS", "s", ">")
        conns[0].call("XADD", "s", "2-0", "n", "2")
        assert texts(conns[1].read()[1]) == [[b"s", [[b"2-0", [b"n", b"2"], 0, 0]]]]

    @pytest.mark.parametrize("how", [["XCLAIM", "s", "g", "a", "0", "1-0", "IDLE", "2000000"],
                                     ["XGROUP", "REPLACECONSUMER", "s", "g", "a"]])
    def test_made_idle_while_it_waits(self, conns, how):
        fill(conns[0], "s", 1, "g")
        read(conns[0], "s", "g", "a")
        waits(conns, 1, "XREADGROUP", "GROUP", "g", "b", "BLOCK", "3000", "CLAIM", "1000000", "STREAMS", "s", ">")
        conns[0].call(*how)
        entry = texts(conns[1].read()[1])[0][1][0]
        assert entry[0] == b"1-0" and entry[2] >= 1000000 and entry[3] >= 1

    def test_made_pending_while_it_waits(self, conns):
        fill(conns[0], "s", 1)
        conns[0].call("XGROUP", "CREATE", "s", "g", "$")
        waits(conns, 1, "XREADGROUP", "GROUP", "g", "b", "BLOCK", "3000", "CLAIM", "200", "STREAMS", "s", ">")
        conns[0].call("XCLAIM", "s", "g", "a", "0", "1-0", "FORCE")
        entry = texts(conns[1].read()[1])[0][1][0]
        assert entry[0] == b"1-0" and 200 <= entry[2] < 3000

    def test_time_is_over(self, conns):
        fill(conns[0], "s", 1, "g")
        read(conns[0], "s", "g", "a")
        waits(conns, 1, "XREADGROUP", "GROUP", "g", "b", "BLOCK", "50", "CLAIM", "1000000", "STREAMS", "s", ">")
        assert conns[1].read()[1] == (b"*", None)

    def test_errors(self, c):
        fill(c, "s", 1, "g")
        for bad in ("x", "-1", ""):
            assert c.call("XREADGROUP", "GROUP", "g", "b", "CLAIM", bad, "STREAMS", "s", ">")[0] == b"-"


class TestJournal:
    """leat's own: what a group does is journaled as ranges of ids, and a poll that finds nothing not at all."""

    def wrote(self, c, *args):
        def position():
            return int(c.call("INFO", "persistence")[1].decode().split("journal_position:")[1].split()[0])
        before = position()
        reply = c.call(*args)
        return position() - before, reply

    def test_ranges_and_empty_polls(self, c):
        c.send(encode([to_bytes(a) for a in ("XADD", "s", "*", "f", "v")]) * 2000)
        for _ in range(2000):
            c.read()
        c.call("XGROUP", "CREATE", "s", "g", "0")
        more = ["XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">"]
        written, reply = self.wrote(c, *more)
        entries = [e[0] for e in texts(reply)[0][1]]
        assert len(entries) == 2000 and 0 < written < 4000
        assert self.wrote(c, "XACK", "s", "g", *entries)[0] < 4000
        for args in (more, ["XREADGROUP", "GROUP", "g", "a", "BLOCK", "10", "STREAMS", "s", ">"],
                     ["XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", "0"], ["XAUTOCLAIM", "s", "g", "a", "0", "0"],
                     ["XACK", "s", "g", entries[0]], ["XPENDING", "s", "g"]):
            assert self.wrote(c, *args)[0] == 0, args


class TestReplaceConsumer:
    """leat's own: XGROUP REPLACECONSUMER key group consumer [TO consumer]."""

    def test_handed_on(self, c):
        fill(c, "s", 4, "g")
        read(c, "s", "g", "a", "COUNT", "3")
        read(c, "s", "g", "b")
        c.call("XCLAIM", "s", "g", "a", "0", "2-0")
        assert texts(c.call("XGROUP", "REPLACECONSUMER", "s", "g", "a", "TO", "b")) == 3
        assert pending(c, "s", "g") == [("1-0", "b", 1), ("2-0", "b", 2), ("3-0", "b", 1), ("4-0", "b", 1)]
        assert [m[b"name"] for m in maps(c.call("XINFO", "CONSUMERS", "s", "g"))] == [b"b"]

    def test_back_to_the_group(self, c):
        fill(c, "s", 2, "g")
        read(c, "s", "g", "a")
        assert texts(c.call("XGROUP", "REPLACECONSUMER", "s", "g", "a")) == 2
        assert pending(c, "s", "g") == [("1-0", "", 1), ("2-0", "", 1)]
        # Whoever claims what has been idle for long has it at once.
        assert len(texts(c.call("XAUTOCLAIM", "s", "g", "b", "86400000", "0"))[1]) == 2

    def test_nobody(self, c):
        fill(c, "s", 1, "g")
        assert texts(c.call("XGROUP", "REPLACECONSUMER", "s", "g", "nobody", "TO", "b")) == 0
        assert texts(c.call("XINFO", "CONSUMERS", "s", "g")) == []
        assert is_error(c.call("XGROUP", "REPLACECONSUMER", "s", "g", "a", "TO", "a"), "replaced by itself")
        assert is_error(c.call("XGROUP", "REPLACECONSUMER", "s", "g", "a", "b"), "syntax error")
        assert is_error(c.call("XGROUP", "REPLACECONSUMER", "s", "h", "a"), "NOGROUP")


class TestExactLag:
    """leat's own: `lag` is the number of entries that the group has not got yet, whatever was deleted,
    trimmed or set; `entries-read` is never nil. Against a count of what there is."""

    def change(self, c, rng, n):
        low, high = rng.randint(0, n), rng.randint(0, n + 3)
        return rng.choice([
            ["XADD", "s", "%d-*" % n, "f", "v"], ["XADD", "s", "%d-*" % n, "f", "v"], ["XADD", "s", "%d-*" % n, "f", "v"],
            ["XDEL", "s"] + ["%d-0" % i for i in range(low, low + 3)], ["XTRIM", "s", "MINID", str(low // 2)],
            ["XTRIM", "s", "MAXLEN", "~", "50"], ["XGROUP", "SETID", "s", "g", "%d-0" % high],
            ["XGROUP", "SETID", "s", "g", rng.choice("$0"), "ENTRIESREAD", str(low)],
            ["XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", "s", ">"],
            ["XREADGROUP", "GROUP", "g", "c", "NOACK", "COUNT", "2", "STREAMS", "s", ">"],
            ["XCLAIM", "s", "g", "c", "0", "1-0", "LASTID", "%d-0" % high], ["COPY", "s", "t"], ["RENAME", "t", "s"],
            ["XSETID", "s", "%d-0" % high, "ENTRIESADDED", str(high * 3)]])

    def check(self, c):
        for told in maps(c.call("XINFO", "GROUPS", "s")):
            last = told[b"last-delivered-id"].decode()
            behind = c.call("XRANGE", "s", "(" + last, "+")
            assert told[b"lag"] == (len(behind[1]) if behind[0] == b"*" else 0)
            assert told[b"entries-read"] >= 0

    @pytest.mark.parametrize("seed", range(4))
    def test_against_a_count(self, c, seed):
        rng = random.Random(seed)
        c.call("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        for n in range(1, 300):
            c.call(*self.change(c, rng, n))
            self.check(c)

    def told(self, c):
        return [(m[b"entries-read"], m[b"lag"]) for m in maps(c.call("XINFO", "GROUPS", "s"))]

    def test_set_ahead(self, c):
        """A group that was set ahead of its stream's end, and what it passed over has gone since."""
        fill(c, "s", 5)
        assert c.call("XGROUP", "CREATE", "s", "g", "7-0", "ENTRIESREAD", "1") == (b"+", b"OK")
        assert c.call("XGROUP", "CREATE", "s", "h", "100-0")[0] == b"+"
        assert self.told(c) == [(5, 0), (5, 0)]
        for n in range(6, 20):
            c.call("XADD", "s", "%d-0" % n, "f", "v")
        assert c.call("XTRIM", "s", "MAXLEN", "0") == (b":", b"19")
        assert self.told(c) == [(7, 0), (19, 0)]
        c.call("XADD", "s", "20-0", "f", "v")
        assert self.told(c) == [(7, 1), (20, 0)]
        assert read(c, "s", "g", "a", "COUNT", "1") == ["20-0"]
        assert self.told(c) == [(20, 0), (20, 0)]

    def test_from_the_beginning(self, c):
        fill(c, "s", 5)
        c.call("XTRIM", "s", "MAXLEN", "2")
        c.call("XGROUP", "CREATE", "s", "g", "0")
        assert self.told(c) == [(0, 2)]
        c.call("XTRIM", "s", "MAXLEN", "0")
        c.call("XADD", "s", "6-0", "f", "v")
        c.call("XGROUP", "SETID", "s", "g", "0")
        assert self.told(c) == [(0, 1)]

    def test_what_was_read(self, c):
        fill(c, "s", 5, "g")
        c.call("XDEL", "s", "2-0", "4-0")
        assert read(c, "s", "g", "a", "COUNT", "2") == ["1-0", "3-0"]
        assert self.told(c) == [(3, 1)]


def test_all_survives_a_kill(tmp_path):
    server = Leat(str(tmp_path))
    server.start()
    try:
        c = Connection(server.port)
        fill(c, "s", 10, "g", "h")
        read(c, "s", "g", "a", "COUNT", "6")
        read(c, "s", "g", "b", "COUNT", "2")
        read(c, "s", "h", "x", "NOACK", "COUNT", "3")
        c.call("XACK", "s", "g", "2-0", "3-0")
        c.call("XCLAIM", "s", "g", "b", "0", "5-0", "RETRYCOUNT", "9")
        c.call("XGROUP", "REPLACECONSUMER", "s", "g", "a", "TO", "b")
        before = [c.call("XPENDING", "s", "g", "-", "+", "100")[1], maps(c.call("XINFO", "GROUPS", "s"))]
        server.kill()
        server.start()
        c = Connection(server.port)
        after = [c.call("XPENDING", "s", "g", "-", "+", "100")[1], maps(c.call("XINFO", "GROUPS", "s"))]
        assert after[1] == before[1]
        assert [e[1][:2] + e[1][3:] for e in after[0]] == [e[1][:2] + e[1][3:] for e in before[0]]
    finally:
        server.stop()
