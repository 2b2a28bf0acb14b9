"""node-redis and ioredis."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize("script", ["node_redis", "ioredis"])
def test_node(either, script):
    done = subprocess.run(["node", os.path.join(HERE, script + ".mjs"), str(either.port)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout == "ok\n", done.stdout + done.stderr
