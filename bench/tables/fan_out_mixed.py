"""Subscribers whose sets of channels differ, and messages that are large."""

from bench.tables.fan_out import row

NAME = "fan-out-mixed"
TITLE = "deliveries to subscribers who differ, and of large messages"

PRIVATE, LARGE = 1.5, 2.0  # the goals


def run(bench):
    with bench.leat("no") as leat, bench.redis() as redis:
        row(bench, leat, redis, 1000, 64, PRIVATE, name="1,000, a common and a private channel each",
            more=("--private",))
        row(bench, leat, redis, 1000, 64, PRIVATE, name="the same, every 10th message private",
            more=("--private-every", 10))
        row(bench, leat, redis, 100, 1024, LARGE, 1024, name="1 KB to 100, depth 1,024")
        row(bench, leat, redis, 100, 64, LARGE, 16384, name="16 KB to 100, depth 64")
