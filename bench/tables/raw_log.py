"""The journal by itself, against the least that any log must do."""

import json
import subprocess
import tempfile

from bench.support.load import program

NAME = "raw-log"
TITLE = "batches of 1,000 records of 100 bytes, each batch synced, against bare pwrite + fdatasync"

GOAL = 0.7


def run(bench):
    rounds = bench.rounds(9)
    bench.progress("%d rounds" % rounds)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([program("log_bench"), "--json", folder, str(rounds)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
    got = json.loads(done.stdout)
    bench.row("records", "/s", got["journal"], got["bare"], at_least=GOAL, labels=("leat's journal", "bare loop"))
