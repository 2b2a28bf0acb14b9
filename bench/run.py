#!/usr/bin/python3
"""leat beside redis-server, on this machine, in turns: figures, their ratio, and the goal it has.

    bench/run.py                    every table, as `make bench` does
    bench/run.py --list             their names
    bench/run.py durable streams    some of them
    bench/run.py --quick            small and short: whether it works, not how fast it is
    bench/run.py --both             redis-server in both roles: how far from 1 the noise gets
    bench/run.py --json FILE        the figures of every round as well

docs/bench.md says how to read it. Ends with 1 when a table failed, with --strict also when a goal
was not met.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The script's own folder has a `support` that would hide that of the tests.
sys.path[0:1] = [TOP, os.path.join(TOP, "tests")]

from bench.support.bench import Bench  # noqa: E402
from bench.support.rows import summary  # noqa: E402

# In the order in which they run: what needs a calm disk first.
TABLES = ["commands", "durable", "beside", "raw_log", "start", "snapshot", "lists", "streams", "catch_up", "groups",
          "large", "blocked", "fan_out", "fan_out_few", "fan_out_mixed",
          "fan_out_durable", "idle"]


def tables(names):
    for name in names:
        if name.replace("-", "_") not in TABLES:
            raise SystemExit("bench: there is no table %s; --list names them" % name)
    return [importlib.import_module("bench.tables." + name.replace("-", "_")) for name in names or TABLES]


def first_line(path, default=""):
    try:
        with open(path) as f:
            return f.readline().strip()
    except OSError:
        return default


def output(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def machine(folder):
    model = [row.split(":")[1].strip() for row in open("/proc/cpuinfo") if row.startswith("model name")]
    return {"cores": os.cpu_count(), "model": model[0] if model else "", "kernel": os.uname().release,
            "load": os.getloadavg()[0], "file_system": output("stat", "-f", "-c", "%T", folder),
            "redis": output("redis-server", "--version").split(" sha")[0],
            "leat": output(os.environ["LEAT_BIN"], "--version").split("\n")[0],
            "commit": output("git", "-C", TOP, "rev-parse", "--short", "HEAD")}


def working_folder(parent):
    """Where all servers keep what they write. Not in memory: there a sync costs nothing."""
    parent = parent or os.environ.get("TMPDIR") or "/tmp"
    if output("stat", "-f", "-c", "%T", parent) == "tmpfs" and os.access("/var/tmp", os.W_OK):
        parent = "/var/tmp"
    tempfile.tempdir = tempfile.mkdtemp(prefix="leat-bench-", dir=parent)
    return tempfile.tempdir


def run_tables(bench, chosen):
    """[(table, error)] of those that failed; the others go on."""
    errors = []
    for table in chosen:
        try:
            bench.run(table)
        except Exception as e:  # noqa: BLE001: whatever it was, it is the table's result
            errors.append((table.NAME, "%s: %s" % (type(e).__name__, str(e).strip()[-2000:])))
            print("  error: %s: %s" % errors[-1], flush=True)
    return errors


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE")
    parser.add_argument("--list", action="store_true", help="name the tables and end")
    parser.add_argument("--quick", action="store_true", help="small and short")
    parser.add_argument("--both", action="store_true", help="redis-server in both roles")
    parser.add_argument("--rounds", type=int, help="of each cell (5, or what the table says)")
    parser.add_argument("--seconds", type=float, help="of each measurement that has a duration (2)")
    parser.add_argument("--json", metavar="FILE", help="write what was measured there")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a goal is not met")
    parser.add_argument("--dir", help="make the temporary folder there ($TMPDIR, /tmp)")
    return parser.parse_args()


def stop(*_):
    """Once: what a second one would do is break off the cleaning up."""
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    options = parse()
    chosen = tables(options.tables)
    if options.list:
        for table in chosen:
            print("%-16s %s" % (table.NAME, table.TITLE))
        return 0
    os.environ["LEAT_BIN"] = os.path.abspath(os.environ.get("LEAT_BIN") or os.path.join(TOP, "build", "leat"))
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        signal.signal(number, stop)
    bench = Bench(options.quick, options.rounds, options.seconds, options.both)
    folder = working_folder(options.dir)
    try:
        about = machine(folder)
        print("{leat} (commit {commit}) beside {redis}\n{cores} cores {model}, Linux {kernel}, {file_system}, "
              "load average {load:.2f}".format(**about))
        if about["load"] > 0.7:
            print("The machine is not quiet: do not trust the figures, the ratios little.")
        if options.quick:
            print("Quick: these figures say whether the tables work, not how fast anything is.")
        errors = run_tables(bench, chosen)
    except KeyboardInterrupt:
        print("\ninterrupted")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n%s\n%d tables in %.0f s" % (summary(bench.rows, errors), len(bench.spent), sum(bench.spent.values())))
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"format": 1, "time": int(time.time()), "quick": options.quick, "both": options.both,
                       "machine": about, "load_after": os.getloadavg()[0], "seconds": bench.spent,
                       "rows": [row.as_json() for row in bench.rows],
                       "errors": [{"table": table, "error": text} for table, text in errors]}, f, indent=1)
            f.write("\n")
    return 1 if errors or (options.strict and any(row.met is False for row in bench.rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
