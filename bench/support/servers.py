"""The servers that are measured: those of the tests, with what a measurement asks of them."""

import os
import time

import redis

from support.servers import Leat, Redis

LOADING_SECONDS_MAX = 300


class NotThere(Exception):
    """The server does not know what is to be measured; str() names it."""


class Asked:
    """What both kinds of server can be asked. `label` is what the tables call them."""

    label = "?"

    def client(self):
        return redis.Redis(port=self.port, socket_timeout=120, decode_responses=True)

    def command(self, *words):
        """The reply as it came, nothing made of it."""
        with self.client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def info(self, section):
        with self.client() as client:
            return client.info(section)

    def calls(self):
        """{command in lower case: how often it was called}; those that failed or were refused count
        in neither way."""
        return {name[len("cmdstat_"):]: row["calls"] - row["failed_calls"] - row["rejected_calls"]
                for name, row in self.info("commandstats").items()}

    def need(self, *commands):
        for name in commands:
            if not self.command("COMMAND", "INFO", name)[0]:
                raise NotThere(name)

    def resident(self):
        """Bytes of memory that the process holds."""
        with open("/proc/%d/status" % self.process.pid) as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def used(self):
        """Bytes of memory by the server's own count."""
        return self.info("memory")["used_memory"]

    def busy(self):
        """Whether a snapshot is being written or the log rewritten."""
        now = self.info("persistence")
        return bool(now["rdb_bgsave_in_progress"] or now["aof_rewrite_in_progress"]
                    or now.get("aof_rewrite_scheduled"))

    def wait_idle(self, seconds=LOADING_SECONDS_MAX):
        until = time.monotonic() + seconds
        while self.busy():
            if time.monotonic() > until:
                raise RuntimeError("%s writes its snapshot for ever" % self.label)
            time.sleep(0.01)

    def snapshot(self):
        """Makes one and waits for it."""
        self.wait_idle()
        self.command("BGSAVE")
        self.wait_idle()
        if self.info("persistence")["rdb_last_bgsave_status"] != "ok":
            raise RuntimeError("%s: the snapshot failed" % self.label)

    def restart(self):
        """Seconds from the start of the process to the first answer."""
        self.stop(LOADING_SECONDS_MAX)
        began = time.monotonic()
        self.begin()
        return time.monotonic() - began


class LeatServer(Asked, Leat):
    def __init__(self, sync, options=(), env=None):
        super().__init__()
        self.label = "leat"
        self.sync = sync
        self.options = list(options)
        self.env = env

    def begin(self):
        return self.start("--sync", self.sync, *self.options, env=self.env,
                          wait=LOADING_SECONDS_MAX)


class RedisServer(Asked, Redis):
    """`keep` is appendfsync's value, or None: nothing is kept."""

    def __init__(self, keep, options=(), env=None):
        super().__init__()
        self.label = "redis-server"
        self.env = env
        self.options = list(options)
        if keep:
            self.options += ["--appendonly", "yes", "--appendfsync", keep]

    def begin(self):
        own = dict(os.environ)
        os.environ.update(self.env or {})  # what it starts inherits it
        try:
            self.start(*self.options)
        finally:
            os.environ.clear()
            os.environ.update(own)
        return self

    def wait_ready(self, seconds=LOADING_SECONDS_MAX):
        return super().wait_ready(max(seconds, LOADING_SECONDS_MAX))
