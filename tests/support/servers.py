"""Starts leat and redis-server for tests: own port, own folder, killed by their process id."""

import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_port():
    """Below the ports that the system gives to outgoing connections: one of those may be taken again
    by somebody's connection before the server listens on it."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def leat_binary():
    return os.environ.get("LEAT_BIN") or os.path.join(TOP, "build", "leat")


class Server:
    """A process with a folder and a port. `log` is where its standard error goes."""

    def __init__(self, folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="leat-test-")
        self.port = free_port()
        self.process = None
        self.log_path = os.path.join(self.folder, "log-%d.txt" % self.port)

    def spawn(self, command, env=None, **more):
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=dict(os.environ, **(env or {})),
            stdin=subprocess.DEVNULL, stderr=self.log_file, start_new_session=True, **more)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait_ready(self, seconds=20):
        """Until it has loaded and answers PING (or says that it may not)."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError("ended with %d at start:\n%s" % (self.process.returncode, self.log()))
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.settimeout(1)
                    s.sendall(b"PING\r\n")
                    answer = s.recv(100)
                    if answer[:1] in (b"+", b"-") and not answer.startswith(b"-LOADING"):
                        return self
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("not ready after %d s:\n%s" % (seconds, self.log()))

    def kill(self):
        """SIGKILL, as a power switch does to a process."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, seconds=20):
        """SIGTERM; the exit status."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError("did not stop within %d s of SIGTERM:\n%s" % (seconds, self.log()))
        return self.process.returncode

    def close(self):
        """Stops it by whatever it takes and removes what it left. A sanitizer's report is an error."""
        try:
            code = self.stop()
            log = self.log() if os.path.exists(self.log_path) else ""
            if code == 99 or re.search(r"ERROR: (Address|Leak)Sanitizer|runtime error:|WARNING: ThreadSanitizer", log):
                raise RuntimeError("the sanitizer complained:\n" + log[-8000:])
        finally:
            if self.process:
                self.kill()
                self.log_file.close()
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Redis(Server):
    """Debian's redis-server 7.0, nothing kept."""

    def start(self, *options):
        self.spawn(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                    "--appendonly", "no", "--dir", self.folder, "--loglevel", "warning"]
                   + list(options), stdout=subprocess.DEVNULL)
        return self.wait_ready()


class Leat(Server):
    """`leat serve` (or `leat run FILE`): `ready` holds the line it prints when it is up."""

    def __init__(self, folder=None, binary=None):
        super().__init__(folder)
        self.binary = binary or leat_binary()
        self.data = os.path.join(self.folder, "data")
        self.http_port = 0
        self.ready = None

    def start(self, *options, flow=None, http=False, env=None, wait=20):
        self.http_port = free_port() if http else 0
        command = [self.binary] + (["run", flow] if flow else ["serve"]) + [
            "--port", str(self.port), "--dir", self.data, "--http", str(self.http_port)]
        os.makedirs(self.data, exist_ok=True)
        self.spawn(command + [str(o) for o in options], env=env, stdout=subprocess.PIPE)
        self._read_ready(wait)
        return self.wait_ready(wait)

    def _read_ready(self, seconds):
        """The ready line comes on standard output or standard error; whichever has it."""
        until = time.monotonic() + seconds
        fd, text = self.process.stdout.fileno(), b""
        while time.monotonic() < until:
            if select.select([fd], [], [], 0.02)[0]:
                data = os.read(fd, 65536)
                text += data
            for line in (text.decode(errors="replace") + "\n" + self.log()).splitlines():
                if re.search(r"\bready\b", line):
                    self.ready = line
                    return
            if self.process.poll() is not None:
                raise RuntimeError("leat ended with %d at start:\n%s%s"
                                   % (self.process.returncode, text.decode(errors="replace"), self.log()))
        raise RuntimeError("no ready line in %d s:\n%s" % (seconds, self.log()))

    def kill(self):
        super().kill()
        if self.process and self.process.stdout:
            self.process.stdout.close()
