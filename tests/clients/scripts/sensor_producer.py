"""Adds readings of a sensor to the stream app:event; at most `maxlen` are kept.

    sensor_producer.py SENSOR COUNT [MAXLEN]
"""
import os
import random
import sys

import redis

r = redis.Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True)
sensor, count = sys.argv[1], int(sys.argv[2])
maxlen = int(sys.argv[3]) if len(sys.argv) > 3 else None
for n in range(count):
    reading = {"sensor_id": sensor, "temp": round(random.uniform(-10, 35), 1), "humidity": random.randint(10, 90), "n": n}
    r.xadd("app:event", reading, maxlen=maxlen, approximate=False)
print("added", r.xlen("app:event"))
