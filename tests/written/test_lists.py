"""Lists, where Redis 7.2 differs from Debian's 7.0: each case cites what it follows."""

import pytest

from support.resp import Connection, texts
from support.waiting import blocked, waits


@pytest.fixture
def conns(shared_leat):
    """One connection that acts, and three that wait."""
    made = [Connection(shared_leat.port) for _ in range(4)]
    made[0].call("FLUSHALL")
    yield made
    for conn in made:
        conn.close()


def encoding(conn, key):
    return texts(conn.call("OBJECT", "ENCODING", key))


class TestEncoding:
    """https://redis.io/docs/latest/commands/object-encoding/: "Lists can be encoded as ... listpack,
    Redis >= 7.2, ... a space-efficient encoding used for small lists" and quicklist; back at half of
    the limit: https://github.com/redis/redis/pull/11303."""

    def test_small_and_large(self, conns):
        c = conns[0]
        c.call("RPUSH", "l", "a", "b", "1")
        assert encoding(c, "l") == b"listpack"
        c.call("RPUSH", "l", *["x" * 80] * 100)
        assert encoding(c, "l") == b"quicklist"
        c.call("LTRIM", "l", "0", "60")
        assert encoding(c, "l") == b"quicklist"
        c.call("LTRIM", "l", "0", "40")
        assert encoding(c, "l") == b"listpack"
        c.call("LSET", "l", "0", "y" * 9000)
        assert encoding(c, "l") == b"quicklist"

    def test_by_count(self, conns):
        c = conns[0]
        c.call("CONFIG", "SET", "list-max-listpack-size", "4")
        try:
            c.call("RPUSH", "l", "a", "b", "c", "d")
            assert encoding(c, "l") == b"listpack"
            c.call("LPUSH", "l", "e")
            assert encoding(c, "l") == b"quicklist"
            c.call("LPOP", "l", "2")
            assert encoding(c, "l") == b"quicklist"
            c.call("RPOPLPUSH", "l", "other")
            assert encoding(c, "l") == b"listpack" and encoding(c, "other") == b"listpack"
        finally:
            c.call("CONFIG", "SET", "list-max-listpack-size", "-2")


class TestRank:
    """https://github.com/redis/redis/pull/12167: the least rank cannot be turned round."""

    def test_least_rank(self, conns):
        c = conns[0]
        c.call("RPUSH", "l", "a", "a")
        assert c.call("LPOS", "l", "a", "RANK", "-9223372036854775808") == (
            b"-", b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
        assert texts(c.call("LPOS", "l", "a", "RANK", "-2")) == 0


class TestServedByRunningAgain:
    """Since 7.2 a client that is woken runs its command again, from the start
    (https://github.com/redis/redis/pull/11012): it takes from the first of its keys that has
    something, in its own order (observed: https://github.com/redis/docs/issues/2377)."""

    def test_its_own_order(self, conns):
        waits(conns, 1, "BLPOP", "key1", "key2", "0")
        for args in (["MULTI"], ["RPUSH", "key2", "1", "2"], ["RPUSH", "key1", "5", "6"], ["EXEC"]):
            conns[0].call(*args)
        assert texts(conns[1].read()[1]) == [b"key1", b"5"]

    def test_the_first_to_wait_is_the_first_served(self, conns):
        waits(conns, 1, "BRPOP", "key2", "key1", "0")
        waits(conns, 2, "BLMPOP", "0", "2", "key1", "key2", "LEFT", "COUNT", "5")
        for args in (["MULTI"], ["RPUSH", "key1", "a"], ["RPUSH", "key2", "b", "c"], ["EXEC"]):
            conns[0].call(*args)
        assert texts(conns[1].read()[1]) == [b"key2", b"c"]
        assert texts(conns[2].read()[1]) == [b"key1", [b"a"]]
        assert texts(conns[0].call("LRANGE", "key2", "0", "-1")) == [b"b"]

    def test_a_key_of_another_type_is_an_error_then(self, conns):
        waits(conns, 1, "BLPOP", "key1", "key2", "0")
        conns[0].call("SET", "key1", "x")
        assert blocked(conns[0]) == 1
        conns[0].call("RPUSH", "key2", "y")
        assert conns[1].read()[1][1].startswith(b"WRONGTYPE")
        assert texts(conns[0].call("LLEN", "key2")) == 1

    def test_counted_once(self, conns):
        conns[0].call("CONFIG", "RESETSTAT")
        waits(conns, 1, "BLPOP", "key1", "0")
        for key in ("other", "key1"):
            conns[0].call("RPUSH", key, "x")
        conns[1].read()
        stats = conns[0].call("INFO", "commandstats")[1].decode()
        assert "cmdstat_blpop:calls=1," in stats
