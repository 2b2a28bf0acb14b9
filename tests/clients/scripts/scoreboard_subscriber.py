"""Keeps a scoreboard of what comes on a channel: `usernames` one name, `hashtags` a list of tags."""

import json
import os
import sys

import redis


def main(channel):
    r = redis.StrictRedis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]), decode_responses=True)
    p = r.pubsub(ignore_subscribe_messages=False)
    p.subscribe(channel)
    board = {"usernames": "username_scoreboard", "hashtags": "hashtags_scoreboard"}[channel]
    for message in p.listen():
        if message["type"] == "subscribe":
            print("listening", flush=True)
        elif message["data"] == "stop":
            return
        else:
            data = message["data"]
            for member in json.loads(data) if channel == "hashtags" else [data]:
                r.zincrby(board, 1, member)


if __name__ == "__main__":
    main(sys.argv[1])
