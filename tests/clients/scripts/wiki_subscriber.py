"""Keeps the time series of changes, overall and per domain."""

import json
import os
import time

import redis

AGGREGATION = 10


def main():
    r = redis.Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]), decode_responses=True)
    p = r.pubsub()
    p.subscribe("wiki")
    for message in p.listen():
        if message["type"] == "subscribe":
            print("listening", flush=True)
            continue
        if message["data"] == "stop":
            return
        domain = json.loads(message["data"])["meta"]["domain"]
        ts = int(time.time() / AGGREGATION) * AGGREGATION
        r.hincrby("ev", ts, 1)
        r.hincrby("ev:" + domain, ts, 1)
        r.sadd("known_domains", domain)


if __name__ == "__main__":
    main()
