#!/usr/bin/python3
"""The differential test: the same commands to redis-server 7.0 and to leat, the replies compared.

    run.py                          every family, for --seconds in all
    run.py --family zsets --seed 7 --rounds 100
    run.py --family zsets --seed 7 --first 41 --rounds 1     one sequence again, as a failure says
    run.py --redis-too              redis-server in both roles (a check of the harness)
    run.py --port N                 against a server that is already running there

The binary is LEAT_BIN, else build/leat. Sequence n of a family is a function of (seed, family, n).
"""

import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import families  # noqa: E402
from engine import Runner, shorten  # noqa: E402
from exceptions import EXCEPTIONS, HTTP_RACE, HTTP_VERBS, PUSH_AFTER_REPLY  # noqa: E402
from steps import Gen  # noqa: E402
from support.servers import Leat, Redis  # noqa: E402

LENGTH = 240
FAILURES_SHOWN = 3
SHOWN_MAX = 1500


def sequence(family, seed, number, length):
    gen = Gen(random.Random("%d/%s/%d" % (seed, family, number)))
    return families.all_sequences()[family](gen, length)


def cut(data):
    return repr(data[:SHOWN_MAX]) + ("… (%d bytes)" % len(data) if len(data) > SHOWN_MAX else "")


def report(family, seed, number, steps, found, runner):
    print("MISMATCH family %s, seed %d, sequence %d, step %d of %d" % (
        family, seed, number, found.index + 1, len(steps)))
    print("  again: tests/differential/run.py --family %s --seed %d --first %d --rounds 1" % (
        family, seed, number))
    print("  as first seen: %s" % found.step.show()[:SHOWN_MAX])
    print("    redis: %s\n    leat:  %s" % (cut(found.redis), cut(found.leat)))
    try:
        short, last = shorten(runner, steps, found)
    except OSError as e:
        print("  (cannot shorten: %r)" % e)
        return
    print("  the fewest steps that show it:")
    for step in short[-40:]:
        print("    " + step.show()[:SHOWN_MAX])
    print("    redis: %s\n    leat:  %s" % (cut(last.redis), cut(last.leat)))
    sys.stdout.flush()


def turns(names, options):
    """(family, number) without end, or `rounds` of each family."""
    number = options.first
    while options.rounds is None or number < options.first + options.rounds:
        for family in names:
            yield family, number
        number += 1


def compare_servers(redis_port, leat_port, names, options):
    """(sequences that agreed, sequences that did not)."""
    runner = Runner(redis_port, leat_port)
    passed, failed = {}, {}
    until = time.monotonic() + options.seconds if options.seconds else None
    for family, number in turns(names, options):
        if until and time.monotonic() > until:
            break
        if failed.get(family, 0) >= options.show:
            continue  # what is broken is broken; time for the others
        steps = sequence(family, options.seed, number, options.length)
        try:
            found = runner.run(steps)
        except (OSError, RuntimeError) as e:
            print("FAILED family %s, seed %d, sequence %d: %r" % (family, options.seed, number, e))
            failed[family] = failed.get(family, 0) + 1
            if options.alive and not options.alive():
                print("a server has gone:\n" + options.last_words())
                break
            continue
        if found:
            failed[family] = failed.get(family, 0) + 1
            report(family, options.seed, number, steps, found, runner)
        else:
            passed[family] = passed.get(family, 0) + 1
        if len(failed) == len(names) and min(failed.values()) >= options.show:
            break
    for family in names:
        print("%-14s %4d sequences alike, %d not" % (family, passed.get(family, 0), failed.get(family, 0)))
    print("steps: %d" % runner.steps_run)
    for e in EXCEPTIONS + [HTTP_VERBS, HTTP_RACE, PUSH_AFTER_REPLY]:
        if e.used:
            print("exception %s: %d times (%s)" % (e.name, e.used, e.reason))
    return sum(passed.values()), sum(failed.values())


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--family", action="append")
    parser.add_argument("--redis-too", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--sync", default="no")
    parser.add_argument("--show", type=int, default=FAILURES_SHOWN, help="failures shown of each family")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(argv)
    names = list(families.all_sequences())
    if options.list:
        print("\n".join(names))
        return 0
    names = options.family or names
    if options.rounds is None and options.seconds is None:
        options.rounds = 3
    with Redis() as redis, (Redis() if options.redis_too else Leat()) as other:
        redis.start()
        if not options.port:
            other.start(*([] if options.redis_too else ["--sync", options.sync]))
        options.alive = lambda: options.port or other.process.poll() is None
        options.last_words = lambda: other.log()[-8000:]
        passed, failed = compare_servers(redis.port, options.port or other.port, names, options)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
