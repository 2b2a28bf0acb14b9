"""Fixtures that all outside tests share."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "differential")]

from support.cli import Cli  # noqa: E402
from support.servers import TOP, Leat, Redis  # noqa: E402


@pytest.fixture
def make_leat():
    """Servers made by the test; all are closed at its end, and a sanitizer's word fails it."""
    made = []

    def make(folder=None, binary=None):
        made.append(Leat(folder, binary))
        return made[-1]
    yield make
    for server in made:
        server.close()


@pytest.fixture
def leat(make_leat):
    """A leat of the test's own, with nothing in it."""
    return make_leat().start("--sync", "no")


@pytest.fixture(scope="module")
def shared_leat():
    """One leat for the module's tests; each begins with FLUSHALL by its own means."""
    with Leat() as server:
        yield server.start("--sync", "no")


@pytest.fixture(params=["leat", "redis"])
def either(request):
    """Both: what holds for leat must hold for redis-server too, or the test is wrong."""
    server = Leat() if request.param == "leat" else Redis()
    with server:
        server.kind = request.param
        yield server.start("--sync", "no") if request.param == "leat" else server.start()


@pytest.fixture(scope="module", params=["redis", "leat"])
def cli_server(request):
    """Each in turn, for all of a module's tests of the commands for people."""
    server = Redis() if request.param == "redis" else Leat()
    with server:
        server.kind = request.param
        yield server.start() if request.param == "redis" else server.start("--sync", "no")


@pytest.fixture
def cli(cli_server):
    """Runs such commands against it, with nothing in it."""
    made = Cli(cli_server, cli_server.kind)
    made.call("FLUSHALL")
    yield made
    made.close()


@pytest.fixture
def redis_server():
    with Redis() as server:
        yield server.start()


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real recordings (names and comments of real people: never in this repository)."""
    folder = os.environ.get("LEAT_SHARED_DATA") or os.path.join(TOP, "..", "shared", "data")
    if not os.path.isdir(folder):
        pytest.skip("no recordings in %s" % folder)
    return folder


@pytest.fixture(scope="session")
def torture():
    return bool(os.environ.get("LEAT_TORTURE"))
