"""A bad disk for a server under test: faultio.c preloaded, and its rules changed while it runs.

    faults = Faults(folder, under=server.data)
    server.start(env=faults.env("write nth=20 error=EIO"))
    faults.set("sync delay_ms=10000 count=1")
"""

import collections
import fcntl
import os
import subprocess

from support.servers import TOP

SOURCE = os.path.join(TOP, "tests", "support", "faultio.c")
LIBRARY = os.path.join(TOP, "build", "faultio.so")

Visit = collections.namedtuple("Visit", "number begin_us end_us call path verdict")


def build():
    """The library's path; compiled when it is older than its source."""
    os.makedirs(os.path.dirname(LIBRARY), exist_ok=True)
    with open(LIBRARY + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(LIBRARY) or os.path.getmtime(LIBRARY) < os.path.getmtime(SOURCE):
            made = "%s.%d" % (LIBRARY, os.getpid())
            subprocess.check_call([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-Wall",
                                   "-o", made, SOURCE])
            os.rename(made, LIBRARY)
    return LIBRARY


class Faults:
    def __init__(self, folder, under):
        self.under = under
        self.control = os.path.join(folder, "faults")
        self.trace_path = os.path.join(folder, "trace")

    def env(self, rules="", trace=False):
        """What the server's environment needs, with these rules in force from the first call on."""
        self.set(rules)
        env = {"LD_PRELOAD": build(), "FAULTIO_UNDER": self.under, "FAULTIO_CONTROL": self.control}
        # A sanitizer wants to be the first library; it only has to come before the C library.
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        if trace:
            open(self.trace_path, "w").close()
            env["FAULTIO_TRACE"] = self.trace_path
        return env

    def set(self, rules):
        """Other rules, counting from now; in force from the next call on."""
        with open(self.control + ".new", "w") as f:
            f.write(rules)
        os.rename(self.control + ".new", self.control)

    def trace(self):
        """The calls that have returned, in that order."""
        visits = []
        with open(self.trace_path) as f:
            for line in f:
                number, begin, end, call, rest = line.rstrip("\n").split(" ", 4)
                path, _, verdict = rest.partition(" ")
                visits.append(Visit(int(number), int(begin), int(end), call, path, verdict))
        return visits
