"""redis-py's Lock, whose release is a script; leat knows it by sight (src/broker/scripts.h)."""

import hashlib
import threading

import pytest
import redis
from redis.lock import Lock

from support.resp import Connection, texts


@pytest.fixture
def r(either):
    client = redis.Redis(port=either.port)
    yield client
    client.close()


def test_acquire_and_release(r):
    lock = r.lock("lock", timeout=10)
    assert lock.acquire() and not r.lock("lock").acquire(blocking=False)
    lock.release()
    assert not r.exists("lock") and r.lock("lock").acquire(blocking=False)


def test_only_the_owner_releases(r):
    lock = r.lock("lock")
    lock.acquire()
    r.set("lock", "somebody else")
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        lock.release()
    assert r.get("lock") == b"somebody else"


def test_extend_and_reacquire(r):
    lock = r.lock("lock", timeout=10)
    lock.acquire()
    assert lock.extend(100) and 100 < r.ttl("lock") <= 110
    assert lock.extend(50, replace_ttl=True) and 45 < r.ttl("lock") <= 50
    assert lock.reacquire() and 5 < r.ttl("lock") <= 10
    r.persist("lock")
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        lock.extend(10)
    assert r.get("lock") and lock.reacquire() and 5 < r.ttl("lock") <= 10
    r.delete("lock")
    for change in (lambda: lock.extend(10), lock.reacquire):
        with pytest.raises(redis.exceptions.LockNotOwnedError):
            change()


def test_one_at_a_time(r):
    inside, most, done = [], [], []

    def work():
        for _ in range(10):
            with r.lock("lock", timeout=20, sleep=0.001):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                done.append(1)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(done) == 40 and set(most) == {1}


# The script of the Redis documentation on distributed locks, as it is found in many programs.
UNLOCK = 'if redis.call("get",KEYS[1]) == ARGV[1] then\n    return redis.call("del",KEYS[1])\nelse\n    return 0\nend\n'
EDITIONS = [UNLOCK, UNLOCK.replace("\n", " "), UNLOCK.replace('"', "'"), "-- unlocks\n\t" + UNLOCK.replace(",", " , "),
            Lock.LUA_RELEASE_SCRIPT, Lock.LUA_RELEASE_SCRIPT.replace("    ", "\t")]


@pytest.mark.parametrize("script", EDITIONS)
def test_editions(either, script):
    conn = Connection(either.port)
    conn.call("SET", "lock", "token")
    assert texts(conn.call("EVAL", script, "1", "lock", "other")) == 0
    assert texts(conn.call("EVAL", script, "1", "lock", "token")) == 1
    assert texts(conn.call("EVAL", script, "1", "lock", "token")) == 0
    sha = hashlib.sha1(script.encode()).hexdigest()
    assert texts(conn.call("SCRIPT", "LOAD", script)) == sha.encode()
    assert texts(conn.call("SCRIPT", "EXISTS", sha, "0" * 40)) == [1, 0]
    conn.call("SET", "lock", "token")
    assert texts(conn.call("EVALSHA", sha.upper(), "1", "lock", "token")) == 1
    conn.call("LPUSH", "list", "x")
    assert b"WRONGTYPE" in conn.call("EVALSHA", sha, "1", "list", "token")[1]


def test_errors(either):
    conn = Connection(either.port)
    sha = hashlib.sha1(UNLOCK.encode()).hexdigest()
    conn.call("SCRIPT", "LOAD", UNLOCK)
    for args, error in (
            (["EVALSHA", "0" * 40, "0"], b"NOSCRIPT No matching script. Please use EVAL."),
            (["EVALSHA", sha, "x"], b"ERR value is not an integer or out of range"),
            (["EVALSHA", sha, "-1"], b"ERR Number of keys can't be negative"),
            (["EVAL", UNLOCK, "3", "a"], b"ERR Number of keys can't be greater than number of args"),
            (["SCRIPT", "FLUSH", "never"], b"ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
            (["SCRIPT", "LOAD"], b"ERR wrong number of arguments for 'script|load' command"),
            (["SCRIPT", "NIX"], b"ERR unknown subcommand 'NIX'. Try SCRIPT HELP.")):
        assert conn.call(*args) == (b"-", error)


def test_other_scripts_are_refused(leat):
    conn = Connection(leat.port)
    conn.call("SET", "lock", "token")
    for script in ("return 1", UNLOCK.replace("del", "get"), "--[[\n" + UNLOCK + "--]]", ""):
        for args in (["EVAL", script, "1", "lock", "token"], ["SCRIPT", "LOAD", script]):
            assert conn.call(*args)[1].startswith(b"ERR leat runs no Lua")
    assert texts(conn.call("GET", "lock")) == b"token"
    assert b"this script takes a key" in conn.call("EVAL", UNLOCK, "0")[1]
