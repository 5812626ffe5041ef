"""`check --explain`, `explain ID`, and what the ring of decisions keeps."""

import contextlib
import re
import sqlite3
import time

import pytest

from lib import place
from lib.daemon import run_command

START = 1_700_000_000
CLOCK = {"MONGREY_TEST_CLOCK": "true"}
STRANGER = {"client_address": "203.0.113.9", "sender": "alice@x.test", "recipient": "bob@t.test"}
CHECKS = ["private", "exclude", "authenticated", "blacklist", "policy", "relay", "outgoing", "whitelist",
          "spoofing", "exempt", "greylist"]


def spelled(**given):
    return ", ".join(f"{name}={value}" for name, value in {**STRANGER, **given}.items())


def explained(text):
    """The name and the finding of each line behind the answer, and the line that says what decided."""
    lines = text.splitlines()[1:]
    found = [line.split(None, 1) for line in lines if not line.startswith(("  decided by", "  if all"))]
    return dict(found), [name for name, _ in found], next(line for line in lines if "decided by" in line)


def ids(server):
    return re.findall(r"\bid=([0-9a-z]{16})\b", server.log().decode())


def stored(server, table="decision"):
    with contextlib.closing(sqlite3.connect(server.database)) as store:
        return store.execute(f"select count(*) from {table}").fetchone()[0]


def test_check_explains_every_check_in_order(folder):
    done = run_command(folder, "check", "--explain", "--request", spelled())
    found, order, decided = explained(done.stdout)
    assert order == CHECKS
    assert all(re.search(r" \(\d+\.\d us\)$", finding) for finding in found.values())
    assert found["greylist"].startswith("key med, delay 20 s: new, 1 tries, 20 s to wait")
    assert decided == "  decided by greylist: greylist, reason new, policy default"


def test_what_is_behind_the_decision_was_not_asked(folder):
    done = run_command(folder, "check", "--explain", "--request", spelled(client_address="10.0.0.1"))
    found, order, decided = explained(done.stdout)
    assert order == CHECKS
    assert found["private"].startswith("a private address")
    assert {finding for name, finding in found.items() if name != "private"} == {"not asked"}
    assert decided == "  decided by private: pass, reason private"


@pytest.mark.parametrize("given, reason", [({"protocol_state": "DATA"}, "state"),
                                           ({"client_address": "nowhere"}, "no-address")])
def test_what_no_check_was_asked_about(folder, given, reason):
    request = ", ".join(f"{name}={value}" for name, value in {**given, **STRANGER, **given}.items())
    done = run_command(folder, "check", "--explain", "--request", request)
    found, _, decided = explained(done.stdout)
    assert set(found.values()) == {"not asked"}
    assert decided == f"  decided by {reason}: pass, reason {reason}"


def test_a_check_that_is_off_says_so(folder):
    done = run_command(folder, "check", "--explain", "--request", spelled(),
                       environment={"MONGREY_PRIVATE_BYPASS": "no", "MONGREY_BLACKLIST_ENABLE": "no",
                                    "MONGREY_SASL_BYPASS": "no", "MONGREY_WHITELIST_ENABLE": "no",
                                    "MONGREY_GREYLIST_ENABLE": "no"})
    found, _, _ = explained(done.stdout)
    for name, word in [("private", "private_bypass"), ("blacklist", "blacklist_enable"), ("relay", "domain_vrfy"),
                       ("authenticated", "sasl_bypass"), ("whitelist", "whitelist_enable"),
                       ("outgoing", "outgoing_bypass"), ("spoofing", "spoofing_enable")]:
        assert found[name].startswith(f"off ({word}"), name
    assert found["greylist"].startswith("disable-greylisting")


def test_a_deferral_and_the_first_pass_can_be_explained_later(start, folder):
    server = start(**CLOCK)
    server.ask(policy_test_time=START, **STRANGER)
    server.ask(policy_test_time=START + 25, **STRANGER)
    server.ask(policy_test_time=START + 26, **STRANGER)
    assert server.ask(client_address="10.0.0.1") == "DUNNO private address [10.0.0.1]"
    place.wait_for(lambda: len(ids(server)) == 4, "four lines")
    place.wait_for(lambda: stored(server) == 2, "two decisions in the store")
    deferred, first, known, private = ids(server)
    variables = {"MONGREY_DB": f"sqlite:///{server.database}"}
    told = run_command(folder, "explain", deferred, environment=variables).stdout
    assert f"id: {deferred}\nat: 2023-11-14T22:13:20Z\n" in told
    for line in ["action: greylist", "reason: new", "policy: default", "client_address: 203.0.113.9",
                 "sender: alice@x.test", "recipient: bob@t.test",
                 "  greylist: key med, delay 20 s: new, 1 tries, 20 s to wait"]:
        assert line in told.splitlines()
    told = run_command(folder, "explain", first, environment=variables).stdout
    for line in ["action: pass", "reason: triplet found", "delay: 25", "  greylist: key med, delay 20 s: waited 25 s"]:
        assert line in told.splitlines()
    for number in (known, private):
        done = run_command(folder, "explain", number, environment=variables)
        assert done.returncode == 1 and done.stdout == "" and f"no decision {number}" in done.stderr


def test_what_the_store_has_not_is_looked_for_in_logs(start, folder):
    server = start()
    server.ask(client_address="10.0.0.1")
    place.wait_for(lambda: ids(server), "a line")
    number = ids(server)[0]
    variables = {"MONGREY_DB": f"sqlite:///{server.database}"}
    done = run_command(folder, "explain", number, server.log_path, environment=variables)
    assert done.returncode == 0
    assert "reason=private" in done.stdout and done.stdout.count("\n") == 1
    other = number[:-1] + ("0" if number[-1] != "0" else "1")
    assert run_command(folder, "explain", other, server.log_path, environment=variables).returncode == 1
    assert run_command(folder, "explain", number, "/nonexistent", environment=variables).returncode == 1


def test_explain_needs_an_id(folder):
    assert run_command(folder, "explain").returncode == 2


@pytest.mark.parametrize("number", ["0", "x" * 200, "../../etc/passwd", "' or 1=1", "38g74ftfw0ex\n"])
def test_what_is_no_id_is_not_found(folder, number):
    run_command(folder, "check", "--record", "--request", spelled())
    done = run_command(folder, "explain", number)
    assert done.returncode == 1 and done.stdout == ""


def test_the_ring_is_bounded(start):
    server = start(MONGREY_DECISIONS_MAX=10, **CLOCK)
    for number in range(40):
        server.ask(policy_test_time=START + number, client_address=f"203.0.{number}.9")
    place.wait_for(lambda: len(ids(server)) == 40, "forty lines")
    newest = ids(server)[-1]

    def is_trimmed():
        with contextlib.closing(sqlite3.connect(server.database)) as store:
            kept = [row[0] for row in store.execute("select id from decision order by id")]
        return len(kept) == 10 and kept[-1] == newest
    place.wait_for(is_trimmed, "the last ten in the store")


def test_none_is_kept_where_none_is_wanted(start):
    server = start(MONGREY_DECISIONS_MAX=0)
    server.ask(**STRANGER)
    server.stop()
    assert stored(server) == 0


def test_a_flood_does_not_fill_the_store(start):
    """At most 200 in a second; the log has all of them."""
    server = start()
    begun = time.monotonic()
    with server.connect() as peer:
        peer.ask_all([{"client_address": f"11.{n // 250}.{n % 250}.1", "recipient": "a@b.test"} for n in range(3000)])
    place.wait_for(lambda: len(ids(server)) == 3000, "3000 lines")
    server.stop()
    assert 0 < stored(server) <= 200 * (time.monotonic() - begun + 2)


def test_an_empty_id_is_wrong_use_and_a_value_is_no_id(folder):
    log = folder / "log"
    log.write_text("x\nhello sender=id=0123456789abcdef, id=fedcba9876543210\n")
    assert run_command(folder, "explain", "", log).returncode == 2
    assert run_command(folder, "explain", "0123456789abcdef", log).returncode == 1
    assert run_command(folder, "explain", "fedcba9876543210", log).returncode == 0
