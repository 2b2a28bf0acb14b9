"""What the views of the examples hold, read as any Redis client reads it."""

import os

from support.feeds import wait_for
from support.resp import Connection, texts
from support.servers import TOP

WIKI = os.path.join(TOP, "examples", "wikipedia.yaml")
TWEETS = os.path.join(TOP, "examples", "tweets.yaml")


def buckets(conn, key):
    """{bucket start: changes}"""
    items = texts(conn.call("HGETALL", key))
    return {int(a): int(b) for a, b in zip(items[::2], items[1::2])}


def total(conn, key="ev"):
    return sum(buckets(conn, key).values())


def per_domain(conn):
    return {d.decode(): total(conn, b"ev:" + d) for d in texts(conn.call("SMEMBERS", "known_domains"))}


def wait_total(port, count, seconds=60):
    """Until `ev` sums to count, or time is up; the sum."""
    conn = Connection(port)
    wait_for(lambda: total(conn) >= count, seconds)
    return total(conn)


def scores(conn, key):
    items = texts(conn.call("ZRANGE", key, "0", "-1", "WITHSCORES"))
    return {m.decode(): int(float(s)) for m, s in zip(items[::2], items[1::2])}
