"""A member of a group that shares the work on app:event. What fails stays pending; what has been pending for
long is claimed from whoever failed it and tried again; what keeps failing goes to app:event:dead.

    sensor_worker.py NAME [fails]         with `fails` it fails on readings whose `n` ends in 7, and claims nothing
"""
import os
import sys
import time

import redis
from redis.exceptions import ResponseError

STREAM, GROUP, DEAD = "app:event", "workers", "app:event:dead"
IDLE_MS, TRIES = 200, 3

r = redis.Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True)
name, fails = sys.argv[1], "fails" in sys.argv[2:]
try:
    r.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
except ResponseError as e:
    if "BUSYGROUP" not in str(e):
        raise
print("working", flush=True)


def process(entry_id, fields):
    if fields["n"] == "13" or fails and fields["n"].endswith("7"):
        raise ValueError("cannot make sense of reading %s" % fields["n"])
    r.hset("app:done", fields["n"], name)
    r.xadd("app:derived", {"n": fields["n"], "by": name})


def work(entries):
    for entry_id, fields in entries:
        try:
            process(entry_id, fields)
        except ValueError:
            continue  # it stays pending
        r.xack(STREAM, GROUP, entry_id)


def bury():
    for entry in r.xpending_range(STREAM, GROUP, min="-", max="+", count=100, idle=IDLE_MS):
        if entry["times_delivered"] < TRIES:
            continue
        for entry_id, fields in r.xclaim(STREAM, GROUP, name, IDLE_MS, [entry["message_id"]]):  # only one gets it
            pipe = r.pipeline(transaction=True)
            pipe.xadd(DEAD, dict(fields, failed=entry["times_delivered"], last=entry["consumer"]))
            pipe.xack(STREAM, GROUP, entry_id)
            pipe.execute()


quiet_since = time.monotonic()
while time.monotonic() - quiet_since < 2:
    got = r.xreadgroup(GROUP, name, {STREAM: ">"}, count=5, block=100)
    for stream, entries in got:
        work(entries)
    bury()
    entries = [] if fails else r.xautoclaim(STREAM, GROUP, name, min_idle_time=IDLE_MS, count=10)[1]
    work(entries)
    if got or entries:
        quiet_since = time.monotonic()
print("done", flush=True)
