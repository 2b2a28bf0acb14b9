"""The Python programs of systems 3 and 5, as people write them around Redis streams, unmodified against leat.
(They run against redis-server as well: what they hold there they must hold here.)"""

import json
import os
import sys

import pytest
import redis

from support.feeds import wait_for

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts")


@pytest.fixture
def r(either):
    return redis.Redis(port=either.port, decode_responses=True)


def lines(process, seconds=60):
    out, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0
    return out.splitlines()


class TestSystem5:
    def test_a_plain_consumer_resumes(self, script, r, tmp_path):
        assert lines(script("sensor_producer", "attic", 25)) == ["added 25"]
        first = lines(script("sensor_reader", tmp_path / "last", "beginning", 10))
        assert first == ["reading from 0"] + ["attic %d" % n for n in range(10)]
        second = lines(script("sensor_reader", tmp_path / "last", "beginning", 15))
        assert second[1:] == ["attic %d" % n for n in range(10, 25)]

    def test_a_consumer_from_the_end_waits(self, script, r, tmp_path):
        lines(script("sensor_producer", "attic", 5))
        reader = script("sensor_reader", tmp_path / "last", "end", 3, wait_for_word="reading from $")
        assert wait_for(lambda: r.info("clients")["blocked_clients"] == 1)
        lines(script("sensor_producer", "cellar", 1))
        assert wait_for(lambda: os.path.exists(tmp_path / "last"))
        lines(script("sensor_producer", "cellar", 2))
        assert lines(reader) == ["cellar 0", "cellar 0", "cellar 1"]

    def test_bounded_on_add_and_by_trimming(self, script, r):
        assert lines(script("sensor_producer", "attic", 60, 40)) == ["added 40"]
        assert r.xtrim("app:event", maxlen=10, approximate=False) == 30
        assert [f["n"] for _, f in r.xrange("app:event")] == [str(n) for n in range(50, 60)]

    def test_a_group_shares_the_work_and_claims_what_fails(self, script, r):
        failing = script("sensor_worker", "failing", "fails", wait_for_word="working")
        good = script("sensor_worker", "good", wait_for_word="working")
        lines(script("sensor_producer", "attic", 60))
        assert lines(good) == lines(failing) == ["done"]
        done = r.hgetall("app:done")
        assert sorted(map(int, done)) == [n for n in range(60) if n != 13]
        assert all(done[str(n)] == "good" for n in range(7, 60, 10) if str(n) in done)
        assert [(f["n"], f["failed"]) for _, f in r.xrange("app:event:dead")] == [("13", "3")]
        assert r.xpending("app:event", "workers")["pending"] == 0
        assert sorted(int(f["n"]) for _, f in r.xrange("app:derived")) == sorted(map(int, done))

    def test_killed_workers_lose_nothing(self, script, r):
        lines(script("sensor_producer", "attic", 200))
        for n in range(4):
            worker = script("sensor_worker", "worker-%d" % n, wait_for_word="working")
            wait_for(lambda: r.hlen("app:done") > 20 * (n + 1))
            worker.kill()
        assert lines(script("sensor_worker", "last"))[-1] == "done"
        assert sorted(map(int, r.hkeys("app:done"))) == [n for n in range(200) if n != 13]
        assert r.xpending("app:event", "workers")["pending"] == 0


class TestSystem3:
    @pytest.fixture
    def platform(self, r):
        sys.path.insert(0, SCRIPTS)
        try:
            import push_platform
        finally:
            sys.path.remove(SCRIPTS)
        platform = push_platform.PushPlatform(r)
        platform.AlreadySubscribed = push_platform.AlreadySubscribed
        return platform

    def test_subscribed_once(self, platform):
        platform.subscribe("alice", "news")
        with pytest.raises(platform.AlreadySubscribed):
            platform.subscribe("alice", "news")
        platform.subscribe("bob", "news")
        assert [c["name"] for c in platform.channel_consumers_info("news")] == ["alice", "bob"]

    def test_who_has_received_what(self, platform, r):
        platform.subscribe("alice", "news")
        platform.subscribe("bob", "news")
        ids = [platform.publish("news", {"title": str(n)}) for n in range(5)]
        r.xreadgroup("alice", "alice", {"news": ">"}, count=3)
        r.xack("news", "alice", ids[0])
        alice, bob = platform.channel_consumers_info("news")
        assert alice == {"name": "alice", "last": ids[2], "pending": 2, "consumers": ["alice"]}
        assert bob == {"name": "bob", "last": "0-0", "pending": 0, "consumers": []}
        info = platform.channel_info("news")
        assert info["length"] == 5 and info["groups"] == 2
        assert info["first-entry"][0] == ids[0] and info["last-entry"][0] == ids[4]

    def test_what_came_while_it_was_away(self, platform, script, tmp_path):
        platform.subscribe("alice", "news")
        path = tmp_path / "alice.json"
        sent = [platform.publish("news", {"title": "a%d" % n}) for n in range(7)]
        script("push_platform", "listen", "alice", "news", path, 7).wait(30)
        sent += [platform.publish("news", {"title": "b%d" % n}) for n in range(8)]  # nobody listens
        listener = script("push_platform", "listen", "alice", "news", path, 12, wait_for_word="listening")
        sent += [platform.publish("news", {"title": "c%d" % n}) for n in range(4)]
        assert listener.wait(30) == 0
        heard = [json.loads(line) for line in path.read_text().splitlines()]
        assert [m["id"] for m in heard] == sent
        assert platform.channel_consumers_info("news")[0]["pending"] == 0

    def test_unconfirmed_messages_come_again(self, platform, script, r, tmp_path):
        platform.subscribe("alice", "news")
        sent = [platform.publish("news", {"title": str(n)}) for n in range(3)]
        r.xreadgroup("alice", "alice", {"news": ">"})  # and the listener died
        path = tmp_path / "alice.json"
        assert script("push_platform", "listen", "alice", "news", path, 3).wait(30) == 0
        assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == sent
