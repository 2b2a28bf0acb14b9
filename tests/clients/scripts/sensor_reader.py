"""A plain consumer: reads app:event from the beginning or the end, keeps the id of what it has seen in a
file, and goes on from there when it is started again. Ends after COUNT entries.

    sensor_reader.py FILE beginning|end COUNT
"""
import os
import sys

import redis

r = redis.Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True)
path, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    with open(path) as f:
        last = f.read()
except FileNotFoundError:
    last = "0" if where == "beginning" else "$"
print("reading from", last, flush=True)
seen = 0
while seen < count:
    for stream, entries in r.xread({"app:event": last}, count=min(10, count - seen), block=5000):
        for entry_id, fields in entries:
            print(fields["sensor_id"], fields["n"], flush=True)
            last = entry_id
            seen += 1
            with open(path, "w") as f:
                f.write(last)
