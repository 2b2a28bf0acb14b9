"""Clients that wait for lists: how long, in which order, and what happens to those that go away. On
leat and on redis-server: what is asked here holds for both."""

import select
import socket
import threading
import time

import pytest

from support.resp import Connection, encode, texts, to_bytes
from support.waiting import blocked, until_blocked


class Clients:
    def __init__(self, port):
        self.port = port
        self.act = Connection(port)
        self.made = [self.act]

    def open(self):
        self.made.append(Connection(self.port, timeout=10))
        return self.made[-1]

    def blocked(self):
        return blocked(self.act)

    def until_blocked(self, count):
        until_blocked(self.act, count)

    def waiting(self, *args):
        """A connection that waits in this command."""
        conn, before = self.open(), self.blocked()
        send(conn, args)
        self.until_blocked(before + 1)
        return conn


def send(conn, *commands):
    conn.send(b"".join(encode([to_bytes(a) for a in args]) for args in commands))


def answer(conn, timeout=10):
    return texts(conn.read(timeout)[1])


@pytest.fixture
def clients(either):
    made = Clients(either.port)
    yield made
    for conn in made.made:
        conn.close()


@pytest.mark.parametrize("args, nothing", [
    (["BLPOP", "a", "b", "0.2"], (b"*", None)), (["BRPOP", "a", "0.15"], (b"*", None)),
    (["BLMOVE", "a", "b", "LEFT", "RIGHT", "0.2"], (b"*", None)), (["BRPOPLPUSH", "a", "b", "0.2"], (b"*", None)),
    (["BLMPOP", "0.2", "2", "a", "b", "LEFT"], (b"*", None)), (["BLPOP", "a", "1"], (b"*", None)),
    (["BZPOPMIN", "a", "0.1"], (b"*", None))])
def test_how_long(clients, args, nothing):
    wanted = float(args[1] if args[0] == "BLMPOP" else args[-1])
    for _ in range(5):  # never too short; and not too long where the machine lets it
        begin = time.monotonic()
        reply = clients.act.call(*args)
        took = time.monotonic() - begin
        assert reply == nothing and wanted - 0.002 <= took
        if took < wanted + 0.5:
            return
    pytest.fail("%.1f s became %.1f s" % (wanted, took))


def test_timeouts_end_in_their_own_order(clients):
    for _ in range(5):  # where the machine stalls, both have ended when one is looked at
        late = clients.waiting("BLPOP", "a", "1.5")
        soon = clients.waiting("BLPOP", "a", "0.2")
        begin = time.monotonic()
        assert answer(soon) is None
        if time.monotonic() - begin < 1 and not select.select([late.sock], [], [], 0)[0]:
            break
        assert answer(late) is None
    else:
        pytest.fail("0.2 s was never over before 1.5 s")
    never = clients.waiting("BLPOP", "a", "0")
    assert answer(late) is None
    clients.act.call("RPUSH", "a", "x", "y")
    assert answer(never) == [b"a", b"x"] and texts(clients.act.call("LLEN", "a")) == 1


def test_several_values_serve_several_clients_in_their_order(clients):
    conns = [clients.waiting("BLPOP", "a", "0"), clients.waiting("BRPOP", "other", "a", "0"),
             clients.waiting("BLMPOP", "0", "1", "a", "LEFT", "COUNT", "2"), clients.waiting("BLPOP", "a", "0")]
    assert texts(clients.act.call("LPUSH", "a", "1", "2", "3", "4", "5")) == 5
    assert [answer(c) for c in conns] == [[b"a", b"5"], [b"a", b"1"], [b"a", [b"4", b"3"]], [b"a", b"2"]]
    assert texts(clients.act.call("EXISTS", "a")) == 0


def test_a_chain_of_moves(clients):
    """What one client moves is what the next one waits for, in whichever order they came."""
    last = clients.waiting("BLPOP", "d", "0")
    moves = [clients.waiting("BLMOVE", x, y, "LEFT", "RIGHT", "0") for x, y in ("cd", "ab", "bc")]
    clients.act.call("RPUSH", "a", "x")
    assert [answer(c) for c in moves] == [b"x"] * 3 and answer(last) == [b"d", b"x"]
    assert texts(clients.act.call("KEYS", "*")) == []


def test_a_move_to_itself_serves_everybody(clients):
    conns = [clients.waiting("BLMOVE", "a", "a", "LEFT", "RIGHT", "0") for _ in range(3)]
    conns.append(clients.waiting("BLPOP", "a", "0"))
    clients.act.call("RPUSH", "a", "x", "y")
    assert [answer(c) for c in conns] == [b"x", b"y", b"x", [b"a", b"y"]]


def test_a_destination_of_another_type(clients):
    move, pop = clients.waiting("BLMOVE", "a", "b", "LEFT", "LEFT", "0"), clients.waiting("BLPOP", "a", "0")
    clients.act.call("SET", "b", "x")
    clients.act.call("RPUSH", "a", "1")
    assert move.read()[1][1].startswith(b"WRONGTYPE") and answer(pop) == [b"a", b"1"]


def test_transactions_are_seen_whole(clients):
    conn = clients.waiting("BLPOP", "a", "0")
    for inside in ([["RPUSH", "a", "1"], ["DEL", "a"]], [["RPUSH", "a", "1"], ["LPOP", "a"]],
                   [["RPUSH", "a", "1"], ["DEL", "a"], ["SET", "a", "text"]], [["DEL", "a"], ["ZADD", "a", "1", "m"]]):
        for args in [["MULTI"]] + inside + [["EXEC"], ["PING"]]:
            assert clients.act.call(*args)[0] != b"-"
        assert clients.blocked() == 1
    for args in (["MULTI"], ["DEL", "a"], ["RPUSH", "a", "2", "3"], ["RPUSH", "a", "4"], ["LPOP", "a"], ["EXEC"]):
        clients.act.call(*args)
    assert answer(conn) == [b"a", b"3"]


@pytest.mark.parametrize("feed", [
    [["RPUSH", "x", "1"], ["RENAME", "x", "a"]], [["RPUSH", "x", "1"], ["COPY", "x", "a"]],
    [["RPUSH", "x", "1"], ["LMOVE", "x", "a", "LEFT", "LEFT"]],
    [["SELECT", "1"], ["RPUSH", "a", "1"], ["MOVE", "a", "0"]], [["SELECT", "1"], ["RPUSH", "a", "1"], ["SWAPDB", "0", "1"]]])
def test_a_list_may_come_by_other_ways(clients, feed):
    conn = clients.waiting("BLPOP", "a", "0")
    for args in feed:
        assert clients.act.call(*args)[0] != b"-"
    assert answer(conn) == [b"a", b"1"]


def test_unblocked_by_hand(clients):
    conns = [clients.open() for _ in range(3)]
    ids = [texts(c.call("CLIENT", "ID")) for c in conns]
    for conn in conns:
        send(conn, ["BLPOP", "a", "0"])
    clients.until_blocked(3)
    assert texts(clients.act.call("CLIENT", "UNBLOCK", ids[0])) == 1 and answer(conns[0]) is None
    assert texts(clients.act.call("CLIENT", "UNBLOCK", ids[1], "ERROR")) == 1
    assert conns[1].read()[1] == (b"-", b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
    assert texts(clients.act.call("CLIENT", "UNBLOCK", ids[0])) == 0
    clients.act.call("RPUSH", "a", "1", "2")
    assert answer(conns[2]) == [b"a", b"1"] and texts(clients.act.call("LLEN", "a")) == 1


@pytest.mark.parametrize("args", [
    ["BRPOP", "a", "b", "0"], ["BLMOVE", "a", "b", "LEFT", "LEFT", "0"], ["BRPOPLPUSH", "a", "b", "0"],
    ["BLMPOP", "0", "1", "a", "LEFT"], ["BZPOPMIN", "a", "0"], ["BZPOPMAX", "a", "b", "0"], ["BZMPOP", "0", "1", "a", "MIN"],
    ["XREAD", "BLOCK", "0", "STREAMS", "a", "$"], ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]])
@pytest.mark.parametrize("proto", ["2", "3"])
def test_every_wait_is_ended_by_hand(clients, args, proto):
    clients.act.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    conn = clients.open()
    conn.call("HELLO", proto)
    number = texts(conn.call("CLIENT", "ID"))
    for word, reply in (("TIMEOUT", (b"*", None) if proto == "2" else (b"_", b"")),
                        ("ERROR", (b"-", b"UNBLOCKED client unblocked via CLIENT UNBLOCK"))):
        send(conn, args)
        clients.until_blocked(1)
        assert texts(clients.act.call("CLIENT", "UNBLOCK", number, word)) == 1
        assert conn.read()[1] == reply
        clients.until_blocked(0)


def test_who_goes_away_takes_nothing(clients):
    gone, closed, left = (clients.waiting("BLPOP", "a", "0") for _ in range(3))
    gone.sock.shutdown(socket.SHUT_RDWR)
    closed.close()
    clients.until_blocked(1)
    clients.act.call("RPUSH", "a", "1", "2")
    assert answer(left) == [b"a", b"1"] and texts(clients.act.call("LRANGE", "a", "0", "-1")) == [b"2"]


def test_killed_while_waiting(clients):
    conn = clients.open()
    number = texts(conn.call("CLIENT", "ID"))
    send(conn, ["BLPOP", "a", "0"])
    clients.until_blocked(1)
    assert texts(clients.act.call("CLIENT", "KILL", "ID", number)) == 1
    clients.until_blocked(0)
    clients.act.call("RPUSH", "a", "1")
    assert texts(clients.act.call("LLEN", "a")) == 1


def test_what_is_sent_behind_waits_too(clients):
    conn = clients.open()
    send(conn, ["BLPOP", "a", "0"], ["RPUSH", "b", "mine"], ["BLPOP", "c", "0"], ["PING"])
    clients.until_blocked(1)
    assert texts(clients.act.call("EXISTS", "b")) == 0
    clients.act.call("RPUSH", "a", "1")
    assert answer(conn) == [b"a", b"1"] and answer(conn) == 1
    clients.until_blocked(1)
    with pytest.raises(socket.timeout):
        conn.read(0.05)
    clients.act.call("RPUSH", "c", "2")
    assert answer(conn) == [b"c", b"2"] and answer(conn) == b"PONG"


def test_a_client_that_waits_again_stands_last(clients):
    first, second = clients.waiting("BLPOP", "a", "0"), clients.waiting("BLPOP", "a", "0")
    clients.act.call("RPUSH", "a", "1")
    assert answer(first) == [b"a", b"1"]
    send(first, ["BLPOP", "a", "0"])
    clients.until_blocked(2)
    clients.act.call("RPUSH", "a", "2")
    assert answer(second) == [b"a", b"2"]
    clients.act.call("RPUSH", "a", "3")
    assert answer(first) == [b"a", b"3"]


def test_events_come_in_order(clients):
    clients.act.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    listener = clients.open()
    listener.call("PSUBSCRIBE", "__keyevent@0__:*")
    move, pop = clients.waiting("BLMOVE", "a", "b", "LEFT", "LEFT", "0"), clients.waiting("BRPOP", "b", "0")
    clients.act.call("RPUSH", "a", "1")
    assert answer(move) == b"1" and answer(pop) == [b"b", b"1"]
    heard = [answer(listener)[2:] for _ in range(6)]
    assert [(channel.split(b":")[1], key) for channel, key in heard] == [
        (b"rpush", b"a"), (b"lpush", b"b"), (b"lpop", b"a"), (b"del", b"a"), (b"rpop", b"b"), (b"del", b"b")]


def test_watched_lists_change_when_a_waiter_is_served(clients):
    conn = clients.waiting("BLMOVE", "a", "b", "LEFT", "LEFT", "0")
    watcher = clients.open()
    watcher.call("WATCH", "b")
    clients.act.call("RPUSH", "a", "1")
    assert answer(conn) == b"1"
    watcher.call("MULTI")
    watcher.call("PING")
    assert watcher.call("EXEC") == (b"*", None)


def test_a_queue_loses_and_doubles_nothing(clients):
    """Producers and consumers, half of which move to a list of their own first."""
    count, workers = 400, 6
    seen, lock = [], threading.Lock()

    def work(n):
        conn, own = Connection(clients.port, timeout=20), "own%d" % n
        while True:
            if n % 2:
                item = texts(conn.call("BLMOVE", "queue", own, "RIGHT", "LEFT", "0"))
                assert texts(conn.call("LREM", own, "1", item)) == 1
            else:
                item = texts(conn.call("BRPOP", "queue", "0"))[1]
            if item == b"end":
                return
            with lock:
                seen.append(item)
    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(workers)]
    for t in threads:
        t.start()
    for n in range(0, count, 4):
        clients.act.call("LPUSH", "queue", *range(n, n + 4))
    for _ in threads:
        clients.act.call("LPUSH", "queue", "end")
    for t in threads:
        t.join(30)
    assert sorted(seen, key=int) == [b"%d" % n for n in range(count)]
    assert texts(clients.act.call("DBSIZE")) == 0


def test_what_a_waiter_was_given_is_gone_for_good(make_leat):
    """After kill -9: an element that somebody was told he has is not there again, and one whose
    receipt was never confirmed is not lost by half (it is in one of the two lists)."""
    server = make_leat().start("--sync", "always")
    clients = Clients(server.port)
    pops = [clients.waiting("BLPOP", "a", "0") for _ in range(5)]
    moves = [clients.waiting("BLMOVE", "b", "c", "LEFT", "RIGHT", "0") for _ in range(5)]
    clients.act.call("RPUSH", "a", *range(7))
    clients.act.call("RPUSH", "b", *range(7))
    assert [answer(c)[1] for c in pops] == [b"0", b"1", b"2", b"3", b"4"]
    assert [answer(c) for c in moves] == [b"0", b"1", b"2", b"3", b"4"]
    server.kill()
    server.start("--sync", "always")
    conn = Connection(server.port)
    lists = [texts(conn.call("LRANGE", k, "0", "-1")) for k in "abc"]
    assert lists == [[b"5", b"6"], [b"5", b"6"], [b"0", b"1", b"2", b"3", b"4"]]
