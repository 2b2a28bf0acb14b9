"""The commands for people (`leat add`, `leat sub` ...) against a server: redis-server and leat alike."""

import json
import os
import signal
import subprocess
import time

from support.resp import Connection
from support.servers import leat_binary


class Cli:
    """Runs commands with LEAT_URL set to one server; `conn` asks it behind their backs."""

    def __init__(self, server, kind):
        self.server, self.kind = server, kind
        self.url = "redis://127.0.0.1:%d" % server.port
        self.conn = Connection(server.port, timeout=20)
        self.running = []

    def call(self, *words):
        return self.conn.call(*words)

    def run(self, *words, stdin="", status=0, url=None):
        """The finished process; its exit status must be `status`."""
        done = subprocess.run([leat_binary()] + [str(w) for w in words], text=True, input=stdin,
                              capture_output=True, timeout=60, env=dict(os.environ, LEAT_URL=url or self.url))
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done

    def lines(self, *words, **more):
        return self.run(*words, **more).stdout.splitlines()

    def json(self, *words, **more):
        return [json.loads(line) for line in self.lines(*words, "--json", **more)]

    def start(self, *words, **more):
        """A command that goes on; ended with the test."""
        self.running.append(Running(words, self.url, **more))
        return self.running[-1]

    def close(self):
        for running in self.running:
            running.kill()
        self.conn.close()


class Running:
    def __init__(self, words, url, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            [leat_binary()] + [str(w) for w in words], stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=dict(os.environ, LEAT_URL=url))
        self.text = {self.process.stdout: b"", self.process.stderr: b""}
        for pipe in self.text:
            os.set_blocking(pipe.fileno(), False)

    def _take(self, pipe):
        try:
            while True:
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    break
                self.text[pipe] += data
        except BlockingIOError:
            pass
        return self.text[pipe].decode(errors="replace")

    def out(self):
        return self._take(self.process.stdout)

    def err(self):
        return self._take(self.process.stderr)

    def wait_for(self, text, seconds=20, where=None):
        """Until `text` was printed."""
        take, until = where or self.out, time.monotonic() + seconds
        while text not in take():
            assert time.monotonic() < until, (text, self.out(), self.err())
            time.sleep(0.02)

    def wait_lines(self, count, seconds=20):
        until = time.monotonic() + seconds
        while self.out().count("\n") < count:
            assert time.monotonic() < until, (count, self.out(), self.err())
            time.sleep(0.02)
        return self.out().splitlines()

    def stop(self):
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        self.out(), self.err()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
