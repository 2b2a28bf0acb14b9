"""A push platform for a company, on streams: who is subscribed hears of every message, once it is there again,
and what it has not confirmed is known.

    push_platform.py listen NAME CHANNEL FILE COUNT
"""
import json
import os
import sys

import redis
from redis.exceptions import ResponseError


class AlreadySubscribed(Exception):
    pass


class PushPlatform:
    def __init__(self, connection):
        self.r = connection

    def publish(self, channel, fields):
        return self.r.xadd(channel, fields)

    def channel_info(self, channel):
        return self.r.xinfo_stream(channel)

    def channel_consumers_info(self, channel):
        """Who subscribes, what each has received last, how much it has not confirmed."""
        return [{"name": g["name"], "last": g["last-delivered-id"], "pending": g["pending"],
                 "consumers": [c["name"] for c in self.r.xinfo_consumers(channel, g["name"])]}
                for g in self.r.xinfo_groups(channel)]

    def subscribe(self, name, channel):
        try:
            self.r.xgroup_create(channel, name, id="$", mkstream=True)
        except ResponseError as e:
            if "BUSYGROUP" in str(e):
                raise AlreadySubscribed(name) from e
            raise

    def listen(self, channel, name, path, count):
        """Appends each message to the file, as JSON with its id, and confirms it: first what was sent and
        not confirmed when it last stopped."""
        start = "0"
        while count > 0:
            messages = [m for _, ms in self.r.xreadgroup(name, name, {channel: start}, count=10, block=5000) for m in ms]
            if not messages and start == "0":
                start = ">"
            for message_id, fields in messages[:count]:
                with open(path, "a") as f:
                    f.write(json.dumps(dict(fields, id=message_id)) + "\n")
                self.r.xack(channel, name, message_id)
                count -= 1


if __name__ == "__main__":
    platform = PushPlatform(redis.Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True))
    print("listening", flush=True)
    platform.listen(sys.argv[3], sys.argv[2], sys.argv[4], int(sys.argv[5]))
