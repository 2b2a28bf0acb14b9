"""One run of the benchmarks: its options, its servers, measuring in turns, printing rows."""

import contextlib
import os
import subprocess
import sys
import time

from bench.support.load import Load
from bench.support.rows import Row, head, line
from bench.support.servers import LeatServer, NotThere, RedisServer


class Bench:
    """`quick` is for trying a table: everything is small and once, the figures mean little. With `both`
    set, redis-server plays leat's part too: what is then not 1 is noise, or the order's fault."""

    def __init__(self, quick=False, rounds=None, seconds=None, both=False):
        self.quick, self.both = quick, both
        self.rounds_given, self.seconds_given = rounds, seconds
        self.table = ""
        self.rows, self.servers = [], []
        self.spent = {}  # seconds of each table
        self.labels = None
        self.began = time.monotonic()

    # ---- Sizes ----

    def rounds(self, usual=5):
        return self.rounds_given or (1 if self.quick else usual)

    def seconds(self, usual=2.0):
        return self.seconds_given or (0.3 if self.quick else usual)

    def count(self, usual, quick):
        return quick if self.quick else usual

    # ---- Servers ----

    @contextlib.contextmanager
    def _open(self, server):
        with server:
            server.begin()
            self.servers.append(server)
            try:
                yield server
            except Exception:
                self._say_if_dead(server)
                raise
            finally:
                self.servers.remove(server)

    def _say_if_dead(self, server):
        """A table that failed because its server ended is told so."""
        try:
            status = server.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return
        self.note("%s ended with %s; the end of its log:\n%s" % (server.label, status, server.log()[-3000:]))

    def leat(self, sync="always", options=(), env=None):
        """A running leat; closed and its folder removed at the end of the `with`."""
        if self.both:
            return self.redis("always" if sync == "always" else None, options, env)
        return self._open(LeatServer(sync, options, env))

    def redis(self, keep=None, options=(), env=None):
        """A running redis-server that keeps nothing, or an append-only file synced as `keep` says."""
        return self._open(RedisServer(keep, options, env))

    def settle(self):
        """Until no server writes in the background and no dirty page waits for the disk, so that nobody
        pays for what another one did before."""
        for server in self.servers:
            if server.process.poll() is None:
                server.wait_idle()
        os.sync()

    # ---- Measuring ----

    def turns(self, jobs, rounds=None, what=""):
        """{name: figures, one per round}. In each round every job runs once, the first being another one
        each time. A job returns a figure, or a dict of figures ({name: {key: figures}} then)."""
        names, got = list(jobs), {}
        rounds = rounds or self.rounds()
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                self.progress("%s: %s, round %d of %d" % (what, name, number + 1, rounds))
                self.settle()
                value = jobs[name]()
                if isinstance(value, dict):
                    for key, one in value.items():
                        got.setdefault(name, {}).setdefault(key, []).append(one)
                else:
                    got.setdefault(name, []).append(value)
        self.progress("")
        return got

    # ---- Printing ----

    def title(self, name, text):
        self.table, self.labels = name, None
        print("\n%s: %s" % (name, text), flush=True)

    def progress(self, text):
        """What is going on, on a terminal only; "" wipes it away."""
        if not sys.stderr.isatty():
            return
        if text:
            spent = int(time.monotonic() - self.began)
            text = "  [%d:%02d] %s: %s" % (spent // 60, spent % 60, self.table, text)
        sys.stderr.write("\r\x1b[K" + text[:118])
        sys.stderr.flush()

    def row(self, name, unit, ours, theirs=(), **more):
        """`more`: at_least or at_most, and labels, as Row has them."""
        if self.both:
            more = {"labels": ("redis-server", "redis-server")}
        self._print(Row(self.table, name, unit, ours, theirs, **more))

    def absent(self, name, what):
        """The row cannot be measured: the server does not know `what`."""
        self._print(Row(self.table, name, "", absent=what))

    def note(self, text):
        self.progress("")
        print("  " + text, flush=True)

    def _print(self, row):
        self.progress("")
        if row.labels != self.labels and not row.absent:
            self.labels = row.labels
            print(head(row.labels))
        print(line(row), flush=True)
        self.rows.append(row)

    def run(self, table):
        """One table, whole or with an exception. Ends what it has started."""
        self.title(table.NAME, table.TITLE)
        began = time.monotonic()
        try:
            table.run(self)
        except NotThere as e:
            self.absent("the rest of this table", str(e))
        finally:
            self.progress("")
            self.spent[table.NAME] = time.monotonic() - began
            Load.kill_all()
