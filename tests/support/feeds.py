"""`leat replay` and `leat simulate` as feeds for a test."""

import os
import re
import select
import subprocess
import time

from support.servers import leat_binary


class Feed:
    """A process that prints `ready URL`; `log` collects its standard error."""

    def __init__(self, *args, binary=None):
        self.process = subprocess.Popen([binary or leat_binary()] + [str(a) for a in args],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        self.url = self._wait()

    def _wait(self, seconds=20):
        text, until = b"", time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                text += os.read(self.process.stdout.fileno(), 4096)
                found = re.search(rb"ready (\S+)", text)
                if found:
                    return found.group(1).decode()
        self.close()
        raise RuntimeError("the feed did not start: %r" % text)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def replay(path, *options):
    return Feed("replay", path, *options)


def wait_for(what, seconds=30, step=0.05):
    """Until what() is true; its last value."""
    until = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > until:
            return value
        time.sleep(step)
