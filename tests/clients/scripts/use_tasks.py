"""Sends tasks to a Celery worker and looks at what comes back, and at what is left behind."""

import time

from celery import chord

import tasks

results = [tasks.add.delay(n, n) for n in range(100)]
assert [r.get(timeout=60) for r in results] == [2 * n for n in range(100)]
assert tasks.third_time_lucky.delay("again").get(timeout=30) == "AGAIN"
after_all = chord((tasks.add.s(n, 1) for n in range(5)), tasks.slow.si(0))
assert after_all.delay().get(timeout=30) == "done"
assert tasks.app.control.inspect(timeout=5).ping() == {"w@test": {"ok": "pong"}}

with tasks.app.connection_or_acquire() as connection:
    client = connection.default_channel.client
    assert client.llen("celery") == 0
    until = time.monotonic() + 10  # a task is acknowledged a moment after its result was there
    while client.hlen("unacked") or client.zcard("unacked_index"):
        assert time.monotonic() < until, (client.hgetall("unacked"), client.zrange("unacked_index", 0, -1))
        time.sleep(0.05)
print("all well")
