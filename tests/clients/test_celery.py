"""Celery's Redis transport: queues are lists (LPUSH, BRPOP), what is not acknowledged yet a hash and
a sorted set, results are strings that are published."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("celery")

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "scripts")


@pytest.fixture
def worker(either, tmp_path):
    """A worker of two threads; the environment for those who send tasks."""
    env = dict(os.environ, BROKER="redis://127.0.0.1:%d/0" % either.port, PYTHONPATH=SCRIPTS,
               PYTHONDONTWRITEBYTECODE="1")
    with open(tmp_path / "worker.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "threads", "--concurrency", "2",
             "--without-mingle", "-n", "w@test"], env=env, stdout=log, stderr=log, cwd=tmp_path)
        try:
            yield env
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_tasks_run_and_answer(worker, tmp_path):
    done = subprocess.run([sys.executable, os.path.join(SCRIPTS, "use_tasks.py")], env=worker, timeout=120,
                          capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "all well", done.stderr + (tmp_path / "worker.log").read_text()
