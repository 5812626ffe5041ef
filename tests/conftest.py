"""Fixtures of all tests, and the daemons' logs in the report of a test that failed."""

import pytest

from lib import place
from lib.daemon import Daemon

_logs = pytest.StashKey[list]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for server in item.stash.get(_logs, []):
            if server.log_path.exists():
                report.sections.append((f"log of {server.folder.name}", server.tail()))


def _close_all(servers):
    """Closes every one, also after one of them has complained; the first complaint is the one that counts."""
    errors = []
    for server in servers:
        try:
            server.close()
        except BaseException as error:
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def start(request):
    """start(MONGREY_X=..., settings=...) gives a running daemon of this test's own."""
    started = request.node.stash.setdefault(_logs, [])
    mine = []

    def start_one(**options):
        server = Daemon(**options)
        mine.append(server)
        started.append(server)
        return server.start()

    yield start_one
    _close_all(mine)


@pytest.fixture(scope="module")
def _shared():
    running = {}
    yield running
    _close_all(running.values())


@pytest.fixture
def share(request, _shared):
    """As start, but tests of a module that want the same settings get the same daemon: for those that use keys of
    their own and leave the daemon as it was."""

    def share_one(**options):
        wanted = repr(sorted(options.items()))
        server = _shared.get(wanted)
        if server is None or server.has_ended():
            server = Daemon(**options)
            _shared[wanted] = server
            server.start()
        request.node.stash.setdefault(_logs, []).append(server)
        return server

    return share_one


@pytest.fixture
def folder():
    made = place.new_folder()
    yield made
    place.remove_folder(made)
