"""The store goes away and comes back: what is answered meanwhile, what is kept, and what the log says of it."""

import os
import re
import signal
import threading
import time

import pytest

from lib import place
from lib.daemon import Daemon
from lib.policy import Client, new_address, unique

START = 1_700_000_000
TIMEOUT = 1.5   # s: request_timeout
LATE = 1.0      # s: what a busy machine may add
BACK_WITHIN = 5  # s: the store's return to service
AWAY = re.compile(rb"error: store \S+: ")
BACK = re.compile(rb"store \S+: back again")
WHITE = "whitelist:\n- {field_name: sender, value: friend@white.test}\n" \
        "- {field_name: sender, value: past@white.test, expires: 2020-01-01T00:00:00Z}\n" \
        "blacklist:\n- {field_name: sender, value: foe@black.test}\n"


@pytest.fixture
def daemon(start):
    def start_daemon(url, **more):
        more = {"MONGREY_TEST_CLOCK": "true", "MONGREY_REQUEST_TIMEOUT": f"{int(TIMEOUT * 1000)}ms", **more}
        return start(MONGREY_DB=url, **more)
    return start_daemon


def mail(**more):
    return {"client_address": new_address(), "sender": "alice@x.test", "recipient": unique("to") + "@t.test", **more}


def ask(server, mails, moment):
    return server.ask(policy_test_time=START + moment, **mails)


def expect_changes(server, away, back, seconds=BACK_WITHIN):
    """So many lines that it is away, and that it is back; and none after them."""
    def count():
        return len(AWAY.findall(server.log())), len(BACK.findall(server.log()))
    place.wait_for(lambda: count() == (away, back), f"{away} lines of trouble, {back} of return, not {count()}", seconds)
    time.sleep(0.3)
    assert count() == (away, back), server.tail()


def wait_service(server, moment, seconds=BACK_WITHIN):
    """Asks for strangers until one is greylisted; returns it."""
    def served():
        stranger = mail()
        return stranger if ask(server, stranger, moment).startswith("450") else None
    return place.wait_for(served, "a stranger that is greylisted", seconds)


TROUBLE = {"pass": re.compile(r"DUNNO\b"), "defer": re.compile(r"4\d\d ")}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_strangers_by_db_trouble_known_ones_from_the_cache(shop, daemon, trouble):
    server = daemon(shop.new(), MONGREY_DB_TROUBLE=trouble)
    known, waiting = mail(), mail()
    assert ask(server, known, 0).startswith("450")
    assert ask(server, known, 60).startswith("PREPEND")
    assert ask(server, waiting, 60).startswith("450")
    shop.take_away()
    stranger = mail()
    for _ in range(20):
        began = time.monotonic()
        assert TROUBLE[trouble].match(ask(server, stranger, 61))
        assert time.monotonic() - began < TIMEOUT + LATE
        assert ask(server, known, 61).startswith("DUNNO")
    assert set(server.reasons(recipient=stranger["recipient"])) == {"store-trouble"}
    assert "store-trouble" not in server.reasons(recipient=known["recipient"])
    shop.bring_back()
    place.wait_for(lambda: not ask(server, waiting, 90).startswith("450") and
                   server.reasons(recipient=waiting["recipient"])[-1] != "store-trouble",
                   "who was deferred before passes", BACK_WITHIN)
    expect_changes(server, 1, 1)


class Load:
    """Clients that ask for one stranger after the other, each once; keeps what came of it."""

    def __init__(self, server, threads=4):
        self.server, self.ended = server, threading.Event()
        self.deferred, self.slowest, self.errors = [], 0, []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        try:
            with Client(self.server.address, timeout=20) as client:
                while not self.ended.is_set():
                    stranger = mail()
                    began = time.monotonic()
                    action = client.ask(policy_test_time=START, **stranger)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    if action.startswith("450"):
                        self.deferred.append(stranger)
                    time.sleep(0.002)
        except Exception as error:  # shown by the test
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)


def expect_remembered(server, load):
    """Every deferral was kept: the second try is not a first one again."""
    assert load.deferred
    with server.connect(timeout=30) as client:
        again = client.ask_all([dict(one, policy_test_time=START + 60) for one in load.deferred])
    lost = [action for action in again if not action.startswith("PREPEND")]
    assert not lost, f"{len(lost)} of {len(again)} were forgotten: {lost[:3]}"


def test_killed_and_back_under_load(away_shop, daemon):
    server = daemon(away_shop.new())
    with Load(server) as load:
        time.sleep(0.7)
        away_shop.take_away()
        time.sleep(3)
        away_shop.bring_back()
        wait_service(server, 0)
        time.sleep(0.5)
    assert not load.errors
    assert load.slowest < TIMEOUT + LATE
    expect_changes(server, 1, 1)
    expect_remembered(server, load)


def test_a_server_that_hangs_holds_nobody_longer_than_the_timeout(away_shop, daemon):
    server = daemon(away_shop.new())
    with Load(server) as load:
        time.sleep(0.7)
        pause(away_shop, signal.SIGSTOP)
        try:
            time.sleep(5)
            quick = [timed(server) for _ in range(30)]
        finally:
            pause(away_shop, signal.SIGCONT)
        wait_service(server, 0)
        time.sleep(0.5)
    assert not load.errors
    assert load.slowest < TIMEOUT + LATE
    assert sorted(quick)[15] < 0.2, f"while it is known to be away nobody waits: {quick}"
    expect_changes(server, 1, 1)
    expect_remembered(server, load)


def timed(server):
    began = time.monotonic()
    ask(server, mail(), 0)
    return time.monotonic() - began


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
        return [int(child) for child in listed.read().split()]


def pause(shop, number):
    """All of its processes: those that hold connections, too."""
    pid = shop.server.process.pid
    for one in [pid, *children(pid)]:
        os.kill(one, number)


def test_started_before_the_store_is_there(away_shop, daemon):
    url = away_shop.new()
    away_shop.take_away()
    server = daemon(url)
    assert ask(server, mail(), 0).startswith("DUNNO")
    server.wait_log("answering by db_trouble until it is there", seconds=10)
    server.wait_log("the lists are not read yet", seconds=10)
    away_shop.bring_back()
    wait_service(server, 0)
    server.wait_log("lists: 0 policies")
    expect_changes(server, 1, 1)


@pytest.fixture
def state():
    made = place.new_folder()
    yield made
    place.remove_folder(made)


def sender(server, address, moment=0):
    return ask(server, mail(sender=address), moment)


def with_saved(shop, daemon, state, **more):
    """A store with lists that a daemon has saved, and its URL."""
    url = shop.new()
    shop.import_records(url, WHITE)
    server = daemon(url, **more)
    place.wait_for(lambda: (state / "lists.saved").exists(), "saved lists")
    server.stop()
    assert (state / "lists.saved").stat().st_mode & 0o777 in (0o640, 0o600)
    return url


@pytest.mark.parametrize("variable", ["MONGREY_STATE_DIR", "STATE_DIRECTORY"])
def test_saved_lists_are_in_force_at_a_start_without_the_store(shop, daemon, state, variable):
    more = {variable: state}
    url = with_saved(shop, daemon, state, **more)
    shop.take_away()
    server = daemon(url, MONGREY_DB_TROUBLE="defer", **more)
    server.wait_log(r"until the store is there, the lists are as they were saved at 20\d\d-", seconds=10)
    assert sender(server, "friend@white.test").startswith("DUNNO")
    assert sender(server, "foe@black.test").startswith("5")
    assert sender(server, "past@white.test").startswith("4"), "what has expired counts as expired"
    shop.bring_back()
    shop.import_records(url, "whitelist:\n- {field_name: sender, value: late@white.test}\n")
    place.wait_for(lambda: sender(server, "late@white.test").startswith("DUNNO") and
                   server.reasons(sender="late@white.test")[-1] != "store-trouble",
                   "lists as they are now", BACK_WITHIN)
    expect_changes(server, 1, 1)


def test_a_damaged_file_is_not_taken(shop, daemon, state):
    url = with_saved(shop, daemon, state, MONGREY_STATE_DIR=state)
    path = state / "lists.saved"
    path.write_bytes(path.read_bytes().replace(b"foe@", b"fee@"))
    shop.take_away()
    server = daemon(url, MONGREY_STATE_DIR=state)
    server.wait_log("the saved lists in .* are not taken: it was changed or is damaged", seconds=10)
    assert sender(server, "fee@black.test").startswith("DUNNO")


def test_another_stores_file_is_not_taken(shop, daemon, state):
    with_saved(shop, daemon, state, MONGREY_STATE_DIR=state)
    other = shop.new()
    daemon(other).stop()
    shop.take_away()
    server = daemon(other, MONGREY_STATE_DIR=state)
    server.wait_log("are not taken: it is of another store", seconds=10)
    assert sender(server, "foe@black.test").startswith("DUNNO")


# --- What an administrator must mend ------------------------------------------------------------------

def ended_with(url):
    server = Daemon(MONGREY_DB=url)
    try:
        try:
            server.start()
        except AssertionError:
            pass
        status = server.wait(20)
        return status, server.log()
    finally:
        server.process = None
        server.close()


def expect_78(url):
    """It ends with 78 and one line that says why, without the secret."""
    status, log = ended_with(url)
    assert status == 78, log
    assert len(AWAY.findall(log)) == 1, log
    assert b"w%25rd" not in log and b"pass%3A" not in log, "the secret is shown"


def test_a_wrong_password_ends_the_start(away_shop):
    url = away_shop.new()
    scheme, _, rest = url.partition("://")
    expect_78(f"{scheme}://mongrey:wrong@{rest.rpartition('@')[2]}")


def test_a_newer_schema_ends_the_start(shop, daemon):
    url = shop.new()
    daemon(url).stop()
    shop.make_newer()
    expect_78(url)


def test_a_password_that_turns_wrong_later_is_one_line(away_shop, daemon):
    if away_shop.name != "pgsql":
        pytest.skip("how a password is changed is known for PostgreSQL only")
    from lib import servers
    server = daemon(away_shop.new())
    assert ask(server, mail(), 0).startswith("450")
    away_shop.server.query("postgres", f"alter role {servers.USER} password 'another'")
    try:
        away_shop.take_away()
        ask(server, mail(), 0)
        away_shop.bring_back()
        server.wait_log(r"store \S+: .*password", seconds=10)
        time.sleep(4)
        assert not server.has_ended()
        assert len(AWAY.findall(server.log())) == 2, server.tail()
    finally:
        away_shop.bring_back()
        away_shop.server.query("postgres", f"alter role {servers.USER} password '{servers.PASSWORD}'")
    wait_service(server, 0, 20)
    expect_changes(server, 2, 1)


def test_a_missing_database_ends_the_start(away_shop):
    expect_78(away_shop.url("mongrey_not_made"))
