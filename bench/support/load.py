"""Runs bench/load and reads what it says. A run that had an error does not count: it raises."""

import json
import os
import shlex
import signal
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.environ.get("LEAT_BENCH_BIN") or os.path.join(TOP, "build", "release", "bench")


class LoadError(Exception):
    pass


def program(name):
    path = os.path.join(PROGRAMS, name)
    if not os.path.exists(path):
        raise LoadError("%s is not built: ninja -C build/release bench-programs" % path)
    return path


class Load:
    """One run under way: `commands` is text as a shell would split it, `;` between commands.

    Options are those of bench/load without their dashes: connections=50, seconds=2 ...
    """

    running = []  # what an interrupted measurement has to end

    def __init__(self, server, commands, **options):
        words = [program("load"), "--port", str(server.port)]
        for name, value in options.items():
            name = "--" + name.replace("_", "-")
            words += [name] if value is True else [name, str(value)]
        lexer = shlex.shlex(commands, posix=True, punctuation_chars=";")
        lexer.whitespace_split = True
        self.commands = commands
        self.process = subprocess.Popen(words + ["--"] + list(lexer), text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        Load.running.append(self)

    def stop(self):
        """Nothing more is sent; replies under way are still waited for."""
        self.process.send_signal(signal.SIGTERM)
        return self

    def result(self):
        out, err = self.process.communicate()
        Load.running.remove(self)
        if self.process.returncode != 0:
            raise LoadError("%s: %s" % (self.commands, err.strip() or self.process.returncode))
        return json.loads(out)

    def latency(self, result, command):
        return next(row for row in result["commands"] if row["command"] == command)

    @classmethod
    def kill_all(cls):
        for load in cls.running:
            load.process.kill()
            load.process.wait()
        cls.running.clear()


def count_of(result):
    """{command in lower case: how often it was answered}"""
    counts = {}
    for row in result["commands"]:
        counts[row["command"].lower()] = counts.get(row["command"].lower(), 0) + row["count"]
    return counts


def check_calls(server, before, *results):
    """The server must have executed exactly what the runs say that it answered."""
    now, wanted = server.calls(), {}
    for result in results:
        for name, count in count_of(result).items():
            wanted[name] = wanted.get(name, 0) + count
    for name, count in wanted.items():
        done = now.get(name, 0) - before.get(name, 0)
        if done != count:
            raise LoadError("%s answered %d times to %s but counts %d" % (server.label, count, name, done))


def load(server, commands, **options):
    """The result of one run, compared with what the server counted."""
    before = server.calls()
    result = Load(server, commands, **options).result()
    check_calls(server, before, result)
    return result


def rate(server, commands, **options):
    """Commands answered per second."""
    return load(server, commands, **options)["per_second"]
