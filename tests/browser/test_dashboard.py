"""The dashboard in Chromium; the checks themselves are in dashboard.mjs.

With LEAT_SCREENSHOT=FILE (`make screenshot`) it also takes the picture for the README.
"""

import json
import math
import os
import random
import re
import shutil
import subprocess
import time

import pytest

from support.feeds import replay
from support.recordings import write_wiki
from support.resp import Connection
from support.servers import TOP, Leat

HERE = os.path.dirname(os.path.abspath(__file__))
WIKI = os.path.join(TOP, "examples", "wikipedia.yaml")
with open(os.path.join(HERE, "dashboard.mjs")) as f:
    CHECKS = re.findall(r'await check\("(.*?)"', f.read())
if not os.environ.get("LEAT_SCREENSHOT"):
    CHECKS.remove("the picture for the README")


def write_history(port):
    """Half an hour of counts, as if the flow had been running, so that there is something to see."""
    conn, rng = Connection(port), random.Random(3)
    now = int(time.time()) // 10 * 10
    shares = {"en.wikipedia.org": 60, "de.wikipedia.org": 28, "commons.wikimedia.org": 38, "zh.wikipedia.org": 14,
              "ja.wiktionary.org": 6}
    conn.call("SADD", "known_domains", *shares)
    for at in range(now - 1790, now, 10):
        total = 0
        for n, (domain, share) in enumerate(shares.items()):
            wave = 1 + 0.35 * math.sin(at / 170 + n * 2) + rng.uniform(-0.25, 0.25)
            count = max(int(share * wave), 0)
            total += count
            conn.call("HSET", "ev:" + domain, at, count)
        conn.call("HSET", "ev", at, total)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    if not shutil.which("chromium"):
        pytest.skip("no chromium here")
    folder = tmp_path_factory.mktemp("browser")
    write_wiki(folder / "wiki.sse", 3000)
    with replay(folder / "wiki.sse", "--speed", "0.7", "--loop") as feed, Leat() as server:
        server.start(http=True)
        write_history(server.port)
        server.stop()
        server.start(flow=WIKI, http=True, env={"LEAT_SOURCE_URL": feed.url})
        url = "http://127.0.0.1:%d/" % server.http_port
        done = subprocess.run(["node", os.path.join(HERE, "dashboard.mjs"), url, shutil.which("chromium"), str(folder)]
                              + ([os.path.abspath(os.environ["LEAT_SCREENSHOT"])] if os.environ.get("LEAT_SCREENSHOT")
                                 else []),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
        found = {}
        for line in done.stdout.splitlines():
            row = json.loads(line)
            found[row["check"]] = row["error"]
        if os.environ.get("LEAT_SHOTS"):
            shutil.copytree(folder, os.environ["LEAT_SHOTS"], dirs_exist_ok=True)
        yield found, done.stderr


@pytest.mark.parametrize("name", CHECKS)
def test_dashboard(results, name):
    found, stderr = results
    assert name in found, "it ended before this:\n" + stderr
    assert found[name] is None, found[name]
