"""Fixtures of the clients' tests."""

import os
import subprocess
import sys

import pytest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts")


@pytest.fixture
def script(either):
    """Starts a program of scripts/ against the server; `first_line` is what it said first, if that was waited for."""
    running = []

    def run(name, *args, wait_for_word=None, feed=None):
        env = dict(os.environ, REDIS_PORT=str(either.port), FEED_URL=feed or "", ONCE="1")
        process = subprocess.Popen([sys.executable, os.path.join(SCRIPTS, name + ".py")] + [str(a) for a in args], env=env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        running.append(process)
        if wait_for_word:
            process.first_line = process.stdout.readline()
            assert process.first_line.startswith(wait_for_word)
        return process
    yield run
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()
