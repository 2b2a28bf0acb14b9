"""What Redis gained after Debian's 7.0, which the differential test therefore cannot ask: each case
cites the page of the documentation that it follows."""

import time

import pytest

from support.resp import Connection, texts


@pytest.fixture
def conn(shared_leat):
    c = Connection(shared_leat.port)
    c.call("FLUSHALL")
    yield c
    c.close()


@pytest.fixture
def conn3(shared_leat):
    c = Connection(shared_leat.port)
    c.call("HELLO", "3")
    c.call("FLUSHALL")
    yield c
    c.close()


def is_error(reply, text):
    return reply[0] == b"-" and text.encode() in reply[1]


class TestRankWithScore:
    """https://redis.io/docs/latest/commands/zrank/ and /zrevrank/: "The optional WITHSCORE argument
    supplements the command's reply with the score of the element returned" (since 7.2.0)."""

    def test_reply(self, conn):
        conn.call("ZADD", "z", "1", "one", "2.5", "two", "3", "three")
        assert texts(conn.call("ZRANK", "z", "two", "WITHSCORE")) == [1, b"2.5"]
        assert texts(conn.call("ZREVRANK", "z", "one", "withscore")) == [2, b"1"]
        assert texts(conn.call("ZRANK", "z", "two")) == 1

    def test_absent_is_a_null_array(self, conn):
        conn.call("ZADD", "z", "1", "one")
        assert conn.call("ZRANK", "z", "none", "WITHSCORE") == (b"*", None)
        assert conn.call("ZREVRANK", "nokey", "m", "WITHSCORE") == (b"*", None)
        assert conn.call("ZRANK", "z", "none") == (b"$", None)

    def test_resp3(self, conn3):
        conn3.call("ZADD", "z", "1.5", "m")
        assert conn3.call("ZRANK", "z", "m", "WITHSCORE") == (b"*", [(b":", b"0"), (b",", b"1.5")])
        assert conn3.call("ZRANK", "z", "x", "WITHSCORE") == (b"_", b"")

    def test_errors(self, conn):
        assert is_error(conn.call("ZRANK", "z", "m", "WITHSCORES"), "syntax error")
        assert is_error(conn.call("ZRANK", "z", "m", "WITHSCORE", "x"), "wrong number of arguments for 'zrank'")
        conn.call("SET", "s", "x")
        assert is_error(conn.call("ZRANK", "s", "m", "WITHSCORE"), "WRONGTYPE")


class TestClientSetinfo:
    """https://redis.io/docs/latest/commands/client-setinfo/ (since 7.2.0): LIB-NAME and LIB-VER,
    shown by CLIENT LIST and CLIENT INFO as lib-name and lib-ver; they survive RESET
    (https://redis.io/docs/latest/commands/reset/ does not list them)."""

    def test_shown(self, conn):
        assert conn.call("CLIENT", "SETINFO", "LIB-NAME", "my-lib") == (b"+", b"OK")
        assert conn.call("CLIENT", "SETINFO", "lib-ver", "1.2.3") == (b"+", b"OK")
        line = texts(conn.call("CLIENT", "INFO"))
        assert b" lib-name=my-lib " in line + b" " and b" lib-ver=1.2.3" in line

    def test_errors(self, conn):
        assert is_error(conn.call("CLIENT", "SETINFO", "LIB-NAME", "two words"), "lib-name cannot contain spaces")
        assert is_error(conn.call("CLIENT", "SETINFO", "LIB-VER", "a\nb"), "lib-ver cannot contain")
        assert conn.call("CLIENT", "SETINFO", "NIX", "x")[0] == b"-"
        assert is_error(conn.call("CLIENT", "SETINFO", "LIB-NAME"), "wrong number of arguments")

    def test_empty_takes_it_away(self, conn):
        conn.call("CLIENT", "SETINFO", "LIB-NAME", "x")
        assert conn.call("CLIENT", "SETINFO", "LIB-NAME", "") == (b"+", b"OK")
        assert b"lib-name= " in texts(conn.call("CLIENT", "INFO"))


class TestClientNoTouch:
    """https://redis.io/docs/latest/commands/client-no-touch/ (since 7.2.0): OK; with it on, commands
    of this client do not alter the LRU/LFU of keys, except TOUCH."""

    def test_on_and_off(self, conn):
        assert conn.call("CLIENT", "NO-TOUCH", "ON") == (b"+", b"OK")
        assert conn.call("CLIENT", "NO-TOUCH", "off") == (b"+", b"OK")
        assert is_error(conn.call("CLIENT", "NO-TOUCH", "maybe"), "syntax error")

    def test_idle_time_goes_on(self, conn):
        conn.call("SET", "k", "v")
        conn.call("CLIENT", "NO-TOUCH", "ON")
        time.sleep(2.1)
        conn.call("GET", "k")
        idle = texts(conn.call("OBJECT", "IDLETIME", "k"))
        assert idle >= 2
        touched = time.monotonic()
        conn.call("TOUCH", "k")
        again = texts(conn.call("OBJECT", "IDLETIME", "k"))
        assert again <= 1 + time.monotonic() - touched and again < idle


class TestWaitaof:
    """https://redis.io/docs/latest/commands/waitaof/ (since 7.2.0): an array of how many local
    fsyncs (0 or 1) and how many replicas have acknowledged."""

    def test_replicas_that_are_not(self, conn):
        conn.call("SET", "k", "v")
        reply = conn.call("WAITAOF", "0", "0", "10")
        assert reply[0] == b"-" or texts(reply)[1] == 0

    def test_errors(self, conn):
        assert is_error(conn.call("WAITAOF", "2", "0", "0"), "out of range")
        assert conn.call("WAITAOF", "0", "0", "x")[0] == b"-"
        assert is_error(conn.call("WAITAOF", "1", "0"), "wrong number of arguments")


class TestSetEncodings:
    """https://redis.io/docs/latest/commands/object-encoding/: "Sets can be encoded as: ... listpack,
    Redis >= 7.2, ... a space-efficient encoding used for small sets"; set-max-listpack-entries
    (128) and set-max-listpack-value (64) in redis.conf 7.2."""

    def encoding(self, conn, key):
        return texts(conn.call("OBJECT", "ENCODING", key))

    def test_small_sets(self, conn):
        conn.call("SADD", "ints", "1", "2")
        conn.call("SADD", "words", "a", "b")
        conn.call("SADD", "mixed", "1", "2")
        conn.call("SADD", "mixed", "a")
        assert [self.encoding(conn, k) for k in ("ints", "words", "mixed")] == [b"intset", b"listpack", b"listpack"]

    def test_thresholds(self, conn):
        conn.call("SADD", "s", *["m%d" % i for i in range(128)])
        assert self.encoding(conn, "s") == b"listpack"
        conn.call("SADD", "s", "one more")
        assert self.encoding(conn, "s") == b"hashtable"
        conn.call("SADD", "long", "x" * 64)
        assert self.encoding(conn, "long") == b"listpack"
        conn.call("SADD", "long", "x" * 65)
        assert self.encoding(conn, "long") == b"hashtable"

    def test_settings(self, conn):
        assert texts(conn.call("CONFIG", "GET", "set-max-listpack-entries")) == [b"set-max-listpack-entries", b"128"]
        conn.call("CONFIG", "SET", "set-max-listpack-entries", "2")
        conn.call("SADD", "s", "a", "b")
        assert self.encoding(conn, "s") == b"listpack"
        conn.call("SADD", "s", "c")
        assert self.encoding(conn, "s") == b"hashtable"
        conn.call("CONFIG", "SET", "set-max-listpack-entries", "128")


class TestScores:
    """https://github.com/redis/redis/pull/10587 (7.2): doubles are written with the fewest digits
    that read back as the same number."""

    @pytest.mark.parametrize("given, shown", [
        ("0.1", b"0.1"), ("3.3", b"3.3"), ("1e300", b"1e+300"), ("1e21", b"1e+21"), ("3.0", b"3"), ("inf", b"inf"),
        ("-inf", b"-inf"), ("1e-7", b"1e-7"), ("0.00001", b"0.00001"), ("123456789", b"123456789")])
    def test_shortest(self, conn, given, shown):
        conn.call("ZADD", "z", given, "m")
        assert texts(conn.call("ZSCORE", "z", "m")) == shown
        assert float(shown) == float(given)


class TestInfo:
    """https://redis.io/docs/latest/commands/info/ and the compatibility promise: 7.2.4 by version,
    leat by name."""

    def test_server(self, conn):
        text = texts(conn.call("INFO", "server")).decode()
        fields = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
        assert fields["redis_version"] == "7.2.4" and fields["server_name"] == "leat" and fields["leat_version"]

    def test_sections(self, conn):
        text = texts(conn.call("INFO")).decode()
        for section in ("Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Keyspace"):
            assert "# %s\r\n" % section in text
        assert texts(conn.call("INFO", "nosuch")) == b""
        both = texts(conn.call("INFO", "server", "clients")).decode()
        assert "# Server" in both and "# Clients" in both and "# Memory" not in both

    def test_keyspace(self, conn):
        conn.call("SET", "a", "1", "EX", "1000")
        conn.call("SET", "b", "1")
        text = texts(conn.call("INFO", "keyspace")).decode()
        assert "db0:keys=2,expires=1,avg_ttl=" in text


class TestUnknown:
    """A command that is not there answers as Redis answers an unknown command."""

    @pytest.mark.parametrize("command", ["SORT", "DUMP", "BITCOUNT", "LCS", "FCALL", "CLUSTER", "PFADD", "GEOADD"])
    def test_not_here(self, conn, command):
        assert conn.call(command, "a") == (
            b"-", b"ERR unknown command '%s', with args beginning with: 'a' " % command.encode())


class TestCommandDocs:
    """https://redis.io/docs/latest/commands/command-docs/: a map per command with summary, since,
    group, complexity and arguments."""

    def test_reply(self, conn):
        name, doc = texts(conn.call("COMMAND", "DOCS", "get"))
        fields = dict(zip(doc[::2], doc[1::2]))
        assert name == b"get" and fields[b"since"] == b"1.0.0" and fields[b"group"] == b"string" and fields[b"summary"]

    def test_every_command_has_one(self, conn):
        items = texts(conn.call("COMMAND", "DOCS"))
        docs = {name: dict(zip(doc[::2], doc[1::2])) for name, doc in zip(items[::2], items[1::2])}
        assert len(docs) == texts(conn.call("COMMAND", "COUNT"))
        assert all(d[b"summary"] and d[b"since"] and d[b"group"] for d in docs.values())

    def test_resp3_is_a_map(self, conn3):
        reply = conn3.call("COMMAND", "DOCS", "set", "get")
        assert reply[0] == b"%" and len(reply[1]) == 4

    def test_list_filters(self, conn):
        assert texts(conn.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "hget*")) and all(
            n.startswith(b"hget") for n in texts(conn.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "hget*")))
        assert b"get" in texts(conn.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "read"))
