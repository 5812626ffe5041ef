"""A deferral is answered only when its record is on the disk: shown by kills, and by the daemon's system calls."""

import os
import random
import shutil
import subprocess
import threading
import time

import pytest

from lib import place, trace
from lib.policy import new_address, unique

START = 1_700_000_000
SEED = int(os.environ.get("MONGREY_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
KILLS, WRITERS = 20, 6


class Stranger(threading.Thread):
    """Asks for one new key after another, until the daemon is gone; keeps what it was told."""

    def __init__(self, server):
        super().__init__()
        self.client = server.connect()
        self.told = []
        self.wrong = []

    def run(self):
        try:
            while True:
                mail = {"client_address": new_address(), "recipient": unique("to") + "@t.test"}
                action = self.client.ask(**mail, policy_test_time=START)
                (self.told if action.startswith("450 4.2.0 Greylisted for 20 ") else self.wrong).append(mail)
        except OSError:
            self.client.drop()


def test_no_deferral_that_was_told_is_forgotten_by_kill(start, capsys):
    """Asked again five seconds on, a row that was kept says 15, and one that was lost says 20 as at the first time."""
    moments = random.Random(SEED)
    server = start(MONGREY_TEST_CLOCK="true", MONGREY_PURGE_ENABLE="false")
    told = 0
    for _ in range(KILLS):
        strangers = [Stranger(server) for _ in range(WRITERS)]
        for stranger in strangers:
            stranger.start()
        time.sleep(moments.uniform(0.01, 0.15))
        server.kill()
        for stranger in strangers:
            stranger.join()
        server.start()
        told += sum(len(stranger.told) for stranger in strangers)
        assert not [mail for stranger in strangers for mail in stranger.wrong]
        assert not forgotten(server, [mail for stranger in strangers for mail in stranger.told])
    with capsys.disabled():
        print(f"\nMONGREY_TEST_SEED={SEED}: {KILLS} kills, {told} deferrals told, none forgotten")
    assert told > KILLS * WRITERS, f"seed {SEED}: too little load for a proof"


def forgotten(server, mails):
    """Those of which the daemon knows nothing, or another first time (the seed is in the message)."""
    with server.connect() as peer:
        actions = peer.ask_all([dict(mail, policy_test_time=START + 5) for mail in mails])
    return [(mail, action, f"seed {SEED}") for mail, action in zip(mails, actions)
            if not action.startswith("450 4.2.0 Greylisted for 15 seconds.")]


def test_after_a_kill_the_log_calls_a_told_key_an_early_retry(start):
    server = start(MONGREY_TEST_CLOCK="true")
    mail = {"client_address": new_address(), "recipient": unique("to") + "@t.test"}
    server.ask(**mail, policy_test_time=START)
    server.kill()
    server.start()
    server.ask(**mail, policy_test_time=START + 5)
    server.ask(**mail, policy_test_time=START + 20)
    place.wait_for(lambda: len(server.decisions(recipient=mail["recipient"])) >= 2, "the lines")
    assert server.reasons(recipient=mail["recipient"])[-2:] == ["early-retry (15s missing)", "triplet found"]


def test_a_pass_that_was_told_outlives_a_kill(start):
    """Only counters may come late: who has passed once must not wait again."""
    server = start(MONGREY_TEST_CLOCK="true")
    mails = [{"client_address": new_address(), "recipient": unique("to") + "@t.test"} for _ in range(30)]
    for mail in mails:
        server.ask(**mail, policy_test_time=START)
    for mail in mails:
        assert server.ask(**mail, policy_test_time=START + 20).startswith("PREPEND X-Greylist: ")
    server.kill()
    server.start()
    later = START + 20 * 86400
    assert {server.ask(**mail, policy_test_time=later) for mail in mails} == {"DUNNO policy[default]"}


# --- the system calls -----------------------------------------------------------------------------

@pytest.fixture
def strace(monkeypatch):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.decode().strip()}")
    # The leak check stops threads by ptrace, and strace holds that already.
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    return trace.command


@pytest.fixture
def traced(start, strace, folder):
    """The trace of forty new keys that came over four connections at once, and of ten that came alone."""
    output = folder / "trace"
    server = start(wrapper=strace(output))
    crowd = [threading.Thread(target=ask_new_keys, args=(server, 10)) for _ in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    ask_new_keys(server, 10)
    server.stop()
    return place.wait_for(lambda: whole_trace(output), "the end of the trace")


def whole_trace(output):
    """strace, a process of its own, may lag behind the daemon's end."""
    text = output.read_text(encoding="utf-8", errors="replace")
    return text if text.count(trace.DEFERRAL) >= 50 else None


def ask_new_keys(server, count):
    with server.connect(timeout=30) as peer:
        for _ in range(count):
            assert peer.ask(client_address=new_address(), recipient=unique("to") + "@t.test").startswith("450 ")


def test_every_new_key_is_synced_before_its_answer(traced):
    calls = trace.parse(traced)
    assert len(list(trace.deferrals(calls))) == 50
    assert not trace.answered_before_durable(calls)
    without_syncs = "\n".join(line for line in traced.split("\n") if "sync" not in line)
    assert len(trace.answered_before_durable(trace.parse(without_syncs))) == 50, "this proof cannot fail"


PEER = "9<TCP:[127.0.0.1:9999->127.0.0.1:40000]>"
WAL = "7</tmp/m/mongrey.db-wal>"
READ = f'10 read({PEER}, "request=smtpd_access_policy\\nrecipient=a@t.test\\n\\n", 4096) = 53'
STORE = f'11 pwrite64({WAL}, "\\x37"..., 4096, 32) = 4096'
SYNC = f"11 fdatasync({WAL}) = 0"
SYNC_BEGINS = f"11 fdatasync({WAL} <unfinished ...>"
SYNC_ENDS = "11 <... fdatasync resumed>) = 0"
ANSWER = f'10 write({PEER}, "action=450 4.2.0 Greylisted\\n\\n", 30) = 30'

DOCTORED = {
    "as it should be": ([READ, STORE, SYNC, ANSWER], []),
    "a sync that spans other calls": ([READ, STORE, SYNC_BEGINS, "12 read(3, \"\", 1) = 0", SYNC_ENDS, ANSWER], []),
    "an interrupted read": ([f"10 read({PEER} <unfinished ...>",
                             '10 <... read resumed>, "recipient=a@t.test\\n\\n", 4096) = 53', STORE, SYNC, ANSWER], []),
    "no sync": ([READ, STORE, ANSWER], ["a@t.test"]),
    "nothing stored": ([READ, SYNC, ANSWER], ["a@t.test"]),
    "stored after the sync": ([READ, SYNC, STORE, ANSWER], ["a@t.test"]),
    "sync after the answer": ([READ, STORE, ANSWER, SYNC], ["a@t.test"]),
    "sync before the request": ([STORE, SYNC, READ, ANSWER], ["a@t.test"]),
    "sync not yet ended": ([READ, STORE, SYNC_BEGINS, ANSWER, SYNC_ENDS], ["a@t.test"]),
    "sync begun before the request": ([STORE, SYNC_BEGINS, READ, SYNC_ENDS, ANSWER], ["a@t.test"]),
    "sync failed": ([READ, STORE, SYNC.replace("= 0", "= -1 EIO (Input/output error)"), ANSWER], ["a@t.test"]),
    "sync of another file": ([READ, STORE, SYNC.replace("-wal", "-shm"), ANSWER], ["a@t.test"]),
    "request whose read ended after the sync": ([f"10 read({PEER} <unfinished ...>", STORE, SYNC,
                                                 '10 <... read resumed>, "recipient=a@t.test\\n\\n", 4096) = 53',
                                                 ANSWER], ["a@t.test"]),
}


@pytest.mark.parametrize("lines, guilty", DOCTORED.values(), ids=DOCTORED)
def test_checker_of_traces_knows_good_from_bad(lines, guilty):
    calls = trace.parse("\n".join(lines))
    assert [recipient for recipient, _, _ in trace.deferrals(calls)] == ["a@t.test"]
    assert trace.answered_before_durable(calls) == guilty
