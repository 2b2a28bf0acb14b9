"""What the dashboard asks: the known domains, and a series for those chosen. Prints JSON."""

import json
import os
import sys

import redis


def main():
    r = redis.Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]), decode_responses=True)
    domains = sorted(r.smembers("known_domains"))
    chosen = sys.argv[1:] or domains
    series = {d: {int(t): int(n) for t, n in r.hgetall("ev:" + d).items()} for d in chosen}
    print(json.dumps({"domains": domains, "all": r.hgetall("ev"), "series": series}))


if __name__ == "__main__":
    main()
