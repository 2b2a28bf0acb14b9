"""redis-py: what an application does with it."""

import threading
import time

import pytest
import redis

from support.feeds import wait_for


@pytest.fixture
def r(either):
    client = redis.Redis(port=either.port, decode_responses=True)
    yield client
    client.close()


def test_types(r):
    assert r.set("k", "v", ex=100) is True and r.get("k") == "v" and 0 < r.ttl("k") <= 100
    assert r.set("k", "w", nx=True) is None
    assert r.set("k", "w", get=True) == "v"
    assert r.getex("k", persist=True) == "w" and r.ttl("k") == -1
    assert r.mset({"a": 1, "b": "ü"}) and r.mget("a", "b", "c") == ["1", "ü", None]
    assert r.incrbyfloat("f", 0.1) == pytest.approx(0.1)
    assert r.hset("h", mapping={"x": 1, "y": 2}) == 2 and r.hgetall("h") == {"x": "1", "y": "2"}
    assert r.hincrby("h", "x", 41) == 42 and r.hmget("h", "x", "z") == ["42", None]
    assert r.sadd("s", "a", "b", "c") == 3 and r.smembers("s") == {"a", "b", "c"}
    assert r.smismember("s", ["a", "z"]) == [1, 0]
    assert r.zadd("z", {"a": 1, "b": 2.5}) == 2 and r.zrange("z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
    assert r.zadd("z", {"a": 5}, gt=True, ch=True) == 1 and r.zscore("z", "a") == 5.0
    assert r.zrangestore("z2", "z", 0, 0) == 1
    assert r.zmpop(1, ["z"], max=True)[0] == "z" and r.zrange("z", 0, -1) == ["b"]
    assert r.type("h") == "hash" and r.object("encoding", "k") == "embstr"
    assert sorted(r.scan_iter("*", count=2)) == sorted(r.keys("*"))
    assert dict(r.hscan_iter("h")) == {"x": "42", "y": "2"}
    assert r.copy("h", "h2") is True and r.rename("h2", "h3") and r.exists("h2", "h3") == 1
    assert r.expire("h3", 100, nx=True) and not r.expire("h3", 200, nx=True)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        r.incr("h")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        r.incr("b")


def test_pipeline_and_transaction(r):
    with r.pipeline(transaction=False) as p:
        for i in range(500):
            p.set("k%d" % i, i)
        assert p.execute() == [True] * 500
    with r.pipeline() as p:
        p.incr("n").incr("n").get("n")
        assert p.execute() == [1, 2, "2"]
    with pytest.raises(redis.ResponseError):
        with r.pipeline() as p:
            p.hset("n", "f", 1).execute()


def test_watch_retries(r, either):
    """The counter of redis-py's own documentation, from several threads: no update is lost."""
    def work():
        mine = redis.Redis(port=either.port)

        def change(pipe):
            n = int(pipe.get("counter") or 0)
            pipe.multi()
            pipe.set("counter", n + 1)
        for _ in range(40):
            mine.transaction(change, "counter")
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert r.get("counter") == "120"


def test_lock(r):
    with r.pipeline() as p:
        p.watch("x")
        p.multi()
        p.set("x", 1)
        r.set("x", 2)
        with pytest.raises(redis.WatchError):
            p.execute()
    assert r.get("x") == "2"


def test_pubsub(r):
    p = r.pubsub()
    p.subscribe("a")
    p.psubscribe("b*")
    assert [p.get_message(timeout=5)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
    assert r.publish("a", "one") == 1 and r.publish("bb", "two") == 1 and r.publish("c", "x") == 0
    assert p.get_message(timeout=5)["data"] == "one"
    message = p.get_message(timeout=5)
    assert (message["pattern"], message["channel"], message["data"]) == ("b*", "bb", "two")
    assert r.pubsub_channels() == ["a"] and r.pubsub_numsub("a", "z") == [("a", 1), ("z", 0)] and r.pubsub_numpat() == 1
    p.ping()
    assert p.get_message(timeout=5)["type"] == "pong"
    p.unsubscribe()
    p.punsubscribe()
    assert wait_for(lambda: (p.get_message(timeout=1) or {}).get("type") == "punsubscribe", 5)
    p.close()


def test_keyspace_notifications(r):
    r.config_set("notify-keyspace-events", "KEA")
    p = r.pubsub()
    p.psubscribe("__keyspace@0__:*")
    assert p.get_message(timeout=5)["type"] == "psubscribe"
    r.set("k", "v")
    r.hset("h", "f", 1)
    r.delete("k")
    got = [p.get_message(timeout=5) for _ in range(3)]
    assert [(m["channel"], m["data"]) for m in got] == [
        ("__keyspace@0__:k", "set"), ("__keyspace@0__:h", "hset"), ("__keyspace@0__:k", "del")]
    r.set("short", "v", px=50)
    assert wait_for(lambda: (p.get_message(timeout=1) or {}).get("data") == "expired", 10)


def test_server_commands(r, either):
    info = r.info()
    for field in ("redis_version", "uptime_in_seconds", "connected_clients", "used_memory", "used_memory_human", "role",
                  "total_commands_processed", "instantaneous_ops_per_sec", "keyspace_hits", "tcp_port", "process_id",
                  "maxmemory", "loading", "total_connections_received", "expired_keys", "redis_mode", "os"):
        assert field in info, field
    if either.kind == "leat":
        assert info["redis_version"] == "7.2.4" and info["server_name"] == "leat" and "leat_version" in info
    r.set("k", "v")
    assert r.info("keyspace")["db0"]["keys"] == 1
    assert r.dbsize() == 1 and r.config_get("maxmemory*")["maxmemory"] == "0"
    assert abs(r.time()[0] - time.time()) < 5
    assert r.client_setname("me") and r.client_getname() == "me"
    me = [c for c in r.client_list() if c["name"] == "me"]
    assert len(me) == 1 and me[0]["id"] == str(r.client_id())
    assert r.slowlog_len() >= 0 and r.memory_usage("k") > 0
    assert "get" in r.command()
    assert r.command_count() > 100
    assert r.swapdb(0, 1) and r.dbsize() == 0
    assert r.flushall() is True
    assert r.echo("hi") == "hi" and r.ping() is True


def test_monitor(r, either):
    with redis.Redis(port=either.port, decode_responses=True).monitor() as m:
        r.set("k", 'v"\n')
        line = m.next_command()
        assert line["command"] == 'SET k v"\\n' or line["command"].startswith("SET k")
        assert line["db"] == 0


def test_client_kill_and_reconnect(r, either):
    other = redis.Redis(port=either.port)
    number = other.client_id()
    assert r.client_kill_filter(_id=number) == 1
    assert other.ping() is True  # redis-py connects anew


def test_blocking_pop_wakes(r, either):
    got = []
    t = threading.Thread(target=lambda: got.append(redis.Redis(port=either.port).bzpopmin(["z"], 10)))
    t.start()
    wait_for(lambda: r.info("clients")["blocked_clients"] == 1, 5)
    r.zadd("z", {"m": 7})
    t.join(10)
    assert got == [(b"z", b"m", 7.0)]
    begun = time.monotonic()
    assert r.bzpopmin(["z"], 0.2) is None
    assert 0.15 < time.monotonic() - begun < 3


def test_password(either):
    admin = redis.Redis(port=either.port)
    admin.config_set("requirepass", "geheim")
    with pytest.raises(redis.RedisError, match="Authentication required"):
        redis.Redis(port=either.port).ping()
    with pytest.raises(redis.RedisError, match="invalid username-password pair"):
        redis.Redis(port=either.port, password="falsch").ping()
    assert redis.Redis(port=either.port, password="geheim").ping()
    assert redis.Redis(port=either.port, username="default", password="geheim").ping()


def test_binary_safety(either):
    raw = redis.Redis(port=either.port)
    everything = bytes(range(256)) * 40
    assert raw.set(everything, everything) and raw.get(everything) == everything
    big = b"x" * 5_000_000
    assert raw.set("big", big) and raw.get("big") == big and raw.strlen("big") == len(big)
