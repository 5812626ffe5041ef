"""Lists and policies in a running daemon: changes, exchanges under load, wrong records, patterns that would stall."""

import concurrent.futures
import re
import signal
import sqlite3
import time

import pytest

from lib import place
from lib.daemon import Daemon, run_command
from lib.policy import letters, new_address, unique
from lib.store import Store

START = 1_700_000_000
URL = "http://mongrey.readthedocs.org/en/latest/errors.html"
CLOCK = "test_clock: true\npurge_enable: false\n"
SOON = 2.0  # seconds in which a change must count


@pytest.fixture
def begin(folder):
    """begin(records, settings) gives a store with these records, and a daemon on it."""
    running = []

    def begin_with(records, settings="", **variables):
        store = Store(folder)
        store.fill(records)
        daemon = Daemon(folder=folder, settings=CLOCK + settings, **variables)
        running.append(daemon)
        return store, daemon.start()

    yield begin_with
    for daemon in running:
        daemon.close()


def new_answer(seconds=20, policy="default"):
    return f"450 4.2.0 Greylisted for {seconds} seconds. policy[{policy}] - {URL}#greylisted"


def black(value):
    return f"554 5.7.1 blacklisted [{value}] - {URL}#554"


def ask(daemon, **attributes):
    return daemon.ask(**{"policy_test_time": START, "client_address": new_address(),
                         "recipient": unique("to") + "@t.test", **attributes})


def counts_soon(change, answers):
    """How long it takes after a change until the answer is the wanted one."""
    change()
    begun = time.monotonic()
    place.wait_for(answers, "the change in an answer", 10)
    took = time.monotonic() - begun
    assert took < SOON, f"the change took {took:.1f} s"


def test_a_change_in_the_store_counts_within_two_seconds(begin):
    store, daemon = begin({"policy": [{"id": "p", "name": "p", "field_name": "recipient", "value": "slow.test",
                                       "greylist_remaining": "30s"}]})
    friend = {"sender": "friend@x.test"}
    slow = lambda: ask(daemon, recipient=unique("to") + "@slow.test")
    assert (ask(daemon, **friend), slow()) == (new_answer(), new_answer(30, "p"))
    added = []
    counts_soon(lambda: added.append(store.add("whitelist", "sender friend@x.test")),
                lambda: ask(daemon, **friend) == "DUNNO whitelisted [friend@x.test]")
    counts_soon(lambda: store.set("policy", "p", greylist_remaining="40s"), lambda: slow() == new_answer(40, "p"))
    counts_soon(lambda: store.remove("whitelist", added[0]), lambda: ask(daemon, **friend) == new_answer())
    counts_soon(lambda: store.add("blacklist", "sender friend@x.test"),
                lambda: ask(daemon, **friend) == black("friend@x.test"))
    counts_soon(lambda: store.remove("policy", "p"), lambda: slow() == new_answer())


def test_a_change_counts_for_whom_the_cache_knows(begin):
    """A key that has passed is answered from memory: a list that comes later goes before it."""
    store, daemon = begin({})
    known = {"client_address": "192.0.2.1", "recipient": "a@t.test", "sender": "spam@x.test"}
    for moment in (0, 30, 31, 32):
        last = daemon.ask(policy_test_time=START + moment, **known)
    assert last == "DUNNO policy[default]"
    later = {**known, "policy_test_time": START + 40}
    counts_soon(lambda: store.add("blacklist", "sender spam@x.test"),
                lambda: daemon.ask(**later) == black("spam@x.test"))
    counts_soon(lambda: store.add("policy", {"name": "p", "field_name": "recipient", "value": "a@t.test",
                                             "greylist_key": "high"}) and store.change(
                                                 ("DELETE FROM blacklist", [])),
                lambda: daemon.ask(**later) == new_answer(20, "p"))


def test_sighup_reads_settings_and_lists(begin):
    """Records that somebody wrote past the revision count, too."""
    store, daemon = begin({"blacklist": ["sender bad@x.test"]})
    assert ask(daemon, sender="bad@x.test") == black("bad@x.test")
    sql, values = store.insertion("whitelist", "sender quiet@x.test")[1]
    store.change((sql, values), ("UPDATE mongrey SET value = value - 1 WHERE name = 'revision'", []))
    daemon.settings.write_text(CLOCK + "policy_settings: {blacklist_enable: false}\n")
    daemon.send_signal(signal.SIGHUP)
    place.wait_for(lambda: ask(daemon, sender="quiet@x.test") == "DUNNO whitelisted [quiet@x.test]", "the new lists")
    assert ask(daemon, sender="bad@x.test") == new_answer()


def test_sighup_with_bad_settings_keeps_lists_and_settings(begin):
    _, daemon = begin({"blacklist": ["sender bad@x.test"]})
    daemon.settings.write_text(CLOCK + "policy_settings: {blacklist_enable: perhaps}\n")
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log("not reloaded")
    assert ask(daemon, sender="bad@x.test") == black("bad@x.test")


def test_the_first_request_after_a_start_meets_the_lists(begin):
    """Also where they take a while to read."""
    many = [f"sender {letters(number)}@x.test" for number in range(1, 20001)]
    _, daemon = begin({"blacklist": many + ["sender last@y.test"], "whitelist": ["sender friend@y.test"]})
    assert ask(daemon, sender="last@y.test") == black("last@y.test")
    assert ask(daemon, sender="friend@y.test") == "DUNNO whitelisted [friend@y.test]"
    assert ask(daemon, sender=letters(12345) + "@x.test") == black(letters(12345) + "@x.test")


def test_answers_while_lists_are_exchanged(begin):
    """Each answer is of one list or the other, never of a mixture; each change is one transaction."""
    first = ("UPDATE policy SET greylist_remaining = '31s', name = 'one'", []), \
            ("UPDATE blacklist SET value = 'one@x.test', slug = 'one' WHERE id = 'b'", [])
    second = ("UPDATE policy SET greylist_remaining = '32s', name = 'two'", []), \
             ("UPDATE blacklist SET value = 'two@x.test', slug = 'two' WHERE id = 'b'", [])
    store, daemon = begin({
        "policy": [{"id": "p", "name": "one", "field_name": "recipient", "value": ".t.test",
                    "greylist_remaining": "31s"}],
        "blacklist": [{"id": "b", "field_name": "sender", "value": "one@x.test"}, "sender always@x.test"]
                     + [f"sender {letters(number)}@z.test" for number in range(1, 2000)],
        "whitelist": ["sender /^friend[0-9]+@/"]})
    allowed = {
        "always@x.test": {black("always@x.test")},
        "friend77@x.test": {"DUNNO whitelisted [friend77@x.test]"},
        "one@x.test": {black("one@x.test"), new_answer(32, "two")},
        "two@x.test": {new_answer(31, "one"), black("two@x.test")},
        "": {new_answer(31, "one"), new_answer(32, "two")},
    }
    running = [True]

    def stream(client):
        seen = []
        while running[0]:
            senders = list(allowed) * 10
            answers = client.ask_all([{"policy_test_time": START, "sender": sender, "client_address": new_address(),
                                       "recipient": unique("to") + "@t.test"} for sender in senders])
            seen += zip(senders, answers)
        client.close()
        return seen

    with concurrent.futures.ThreadPoolExecutor(3) as crowd:
        streams = [crowd.submit(stream, daemon.connect()) for _ in range(3)]
        try:
            for number in range(20):
                before = daemon.log().count(b" lists: ")
                store.change(*(second if number % 2 == 0 else first))
                daemon.send_signal(signal.SIGHUP)
                place.wait_for(lambda: daemon.log().count(b" lists: ") > before, "an exchange")
        finally:
            running[0] = False
        seen = [pair for one in streams for pair in one.result()]
    wrong = [(sender, answer) for sender, answer in seen if answer not in allowed[sender]]
    assert not wrong, wrong[:5]
    assert len(seen) > 2000
    for sender, answers in allowed.items():
        assert {answer for asked, answer in seen if asked == sender} == answers, sender


BAD = {
    "whitelist": [
        ({"id": "w1", "field_name": "client_address", "value": "192.0.2.1/24"}, "value", "192.0.2.0/24"),
        ({"id": "w2", "field_name": "client_address", "value": "mx.x.test"}, "value", "client_name"),
        ({"id": "w3", "field_name": "sender", "value": "/(/"}, "value", ""),
        ({"id": "w4", "field_name": "shoe_size", "value": "42"}, "field_name", "no such field"),
        ({"id": "w5", "field_name": "country", "value": "France"}, "value", "ISO 3166"),
        ({"id": "w6", "field_name": "sender", "value": "guarded@x.test", "guard": "spf"}, "guard", "not built"),
        ({"id": "w7", "field_name": "sender", "value": ""}, "value", "empty"),
        ({"id": "w8", "field_name": "client_name", "value": "unknown"}, "value", ""),
    ],
    "blacklist": [({"id": "b1", "field_name": "sender", "value": "//"}, "value", "everything")],
    "policy": [
        ({"id": "p1", "name": "bad delay", "field_name": "sender", "value": "p1@x.test", "greylist_remaining": "soon"},
         "greylist_remaining", "duration"),
        ({"id": "p2", "name": "bad text", "field_name": "sender", "value": "p2@x.test", "reply_greylist": "OK"},
         "reply_greylist", ""),
        ({"id": "p3", "name": "bad name\n", "field_name": "sender", "value": "p3@x.test"}, "name", ""),
        ({"id": "p4", "name": "bad state", "field_name": "sender", "value": "p4@x.test", "states": "RCPT,LUNCH"},
         "states", "LUNCH|state"),
        ({"id": "p5", "name": "later", "field_name": "sender", "value": "p5@x.test", "spf_mode": "reject"},
         "spf_mode", "not built"),
        ({"id": "p6", "name": "selective", "field_name": "sender", "value": "p6@x.test", "greylist_mode": "selective"},
         "greylist_mode", "not built"),
        ({"id": "p7", "name": "number", "field_name": "sender", "value": "p7@x.test",
          "reply_greylist": "450 %(country)s"}, "reply_greylist", ""),
    ],
    "domain": [({"id": "d1", "name": "no domain@all"}, "name", "")],
    "mynetwork": [({"id": "n1", "value": "somewhere"}, "value", "")],
}


def test_a_bad_record_is_named_and_the_others_count(begin):
    records = {kind: [record for record, _, _ in rows] for kind, rows in BAD.items()}
    records["whitelist"].append("sender friend@x.test")
    records["blacklist"] += ["sender bad@x.test", {"id": "evil\nFORGED: action=pass", "field_name": "x", "value": "y"}]
    records["policy"].append({"name": "good", "field_name": "recipient", "value": "good.test",
                              "greylist_remaining": "30s"})
    records["domain"].append("own.test")
    _, daemon = begin(records)
    place.wait_for(lambda: b" lists: " in daemon.log(), "the lists, which are read behind `listening on`")
    log = daemon.log().decode()
    for kind, rows in BAD.items():
        for record, column, why in rows:
            line = re.search(rf"[^\n]* {kind} {record['id']} does not count: {column}: [^\n]*", log)
            assert line and re.search(why, line[0]), f"{kind} {record}: {line and line[0]}"
    assert not re.search(r"^FORGED", log, re.MULTILINE)
    assert re.search(r"lists: 1 policies, 1 white, 1 black, 1 domains, 0 networks", log)
    assert ask(daemon, sender="friend@x.test") == "DUNNO whitelisted [friend@x.test]"
    assert ask(daemon, sender="bad@x.test") == black("bad@x.test")
    assert ask(daemon, recipient="a@good.test") == new_answer(30, "good")
    for number in range(1, 8):
        assert ask(daemon, sender=f"p{number}@x.test") == new_answer()
    assert ask(daemon, sender="guarded@x.test") == new_answer(), "a proof that is not asked for proves nothing"


def test_many_bad_records_do_not_fill_the_log(begin):
    rows = [{"id": f"w{number:04d}", "field_name": "client_address", "value": f"host{number}"} for number in range(500)]
    _, daemon = begin({"whitelist": rows + ["sender friend@x.test"]})
    daemon.wait_log("490 more")  # it listens before it has read the lists, and answers after
    assert daemon.log().count(b"does not count") <= 20
    assert ask(daemon, sender="friend@x.test") == "DUNNO whitelisted [friend@x.test]"


CATASTROPHES = [r"/^(a+)+$/", r"/^(a|aa)+$/", r"/^(a|a?)+$/", r"/^(([a-z])+.)+[0-9]([a-z])+$/", r"/^(.*a){20}$/",
                r"/(x+x+)+y/", r"/^(a?){40}a{40}$/", r"/(?=(a+)+$)b/", r"/^((a*)*)*b$/"]
HOSTILE = ["a" * 490 + "!", "x" * 490, "aX" * 240, ("a" * 30 + ".") * 15, "é" * 240]


def test_patterns_that_would_stall_do_not(begin):
    """Each hostile request is answered, and nobody beside it waits: a second of ours is a hundred requests' time."""
    records = {"blacklist": [f"{field} {pattern}" for pattern in CATASTROPHES for field in ("sender", "helo_name")],
               "whitelist": ["sender friend@x.test"] + [f"recipient {pattern}" for pattern in CATASTROPHES]}
    _, daemon = begin(records)
    hostile = [{"sender": f"{text}@x.test", "helo_name": text, "recipient": f"{text}@{unique('d')}.test",
                "client_address": new_address(), "policy_test_time": START} for text in HOSTILE * 10]
    with daemon.connect() as attacker, daemon.connect() as other, \
            concurrent.futures.ThreadPoolExecutor(1) as crowd:
        begun = time.monotonic()
        attack = crowd.submit(attacker.ask_all, hostile)
        slowest = 0
        while not attack.done():
            asked = time.monotonic()
            assert other.ask(sender="friend@x.test", client_address=new_address(), policy_test_time=START) == \
                "DUNNO whitelisted [friend@x.test]"
            slowest = max(slowest, time.monotonic() - asked)
        answers, took = attack.result(), time.monotonic() - begun
    assert len(answers) == len(hostile)
    factor = 10 if place.is_sanitized() else 1
    assert took < 3 * factor, f"{len(hostile)} hostile requests took {took:.1f} s"
    assert slowest < 0.5 * factor, f"somebody waited {slowest:.2f} s"
    daemon.wait_log(r"(?i)pattern[^\n]*(blacklist|whitelist) [^\n]*|(blacklist|whitelist) [^\n]*pattern", seconds=15)


def test_a_hundred_thousand_entries(begin):
    """They load while the daemon answers, and a request costs about what it costs beside ten."""
    many = 100_000
    entries = [{"field_name": "sender", "value": f"{letters(number)}@x.test"} for number in range(1, many // 2 + 1)]
    entries += [{"field_name": "client_address", "value": f"{20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.9"}
                for n in range(many // 2)]
    store, daemon = begin({"blacklist": ["sender bad@y.test"]})
    requests = [{"sender": f"{letters(number)}@z.test", "client_address": "10.0.0.1", "policy_test_time": START,
                 "policy_context": "x"} for number in range(200)]
    assert set(daemon.connect().ask_all(requests)) == {"DUNNO private address [10.0.0.1]"}
    store.fill({"blacklist": entries})
    daemon.wait_log(f" {many + 1} black", seconds=10)
    assert ask(daemon, sender=f"{letters(many // 2)}@x.test") == black(f"{letters(many // 2)}@x.test")
    assert ask(daemon, client_address="20.1.1.9") == black("20.1.1.9")
    assert ask(daemon, sender=f"{letters(many)}@x.test", client_address="192.0.2.1") == new_answer()
    assert ask(daemon, sender="bad@y.test") == black("bad@y.test")


def test_hits_are_counted_and_move_nothing(begin):
    """Right after many requests, and over an exchange and a restart; a watched or passed-over entry has none."""
    store, daemon = begin({
        "whitelist": [{"id": "w", "field_name": "sender", "value": "friend@x.test"},
                      {"id": "never", "field_name": "sender", "value": "nobody@x.test"},
                      {"id": "late", "field_name": "sender", "value": ".x.test"}],
        "blacklist": [{"id": "b", "field_name": "sender", "value": "bad@x.test"},
                      {"id": "past", "field_name": "sender", "value": "past@y.test", "expires": 1}]})
    revision = store.look("SELECT value FROM mongrey WHERE name = 'revision'")
    for moment in (5, 7, 6):
        assert ask(daemon, sender="friend@x.test", policy_test_time=START + moment).startswith("DUNNO whitelisted")
    assert ask(daemon, sender="bad@x.test", policy_test_time=START + 1) == black("bad@x.test")
    assert ask(daemon, sender="past@y.test") == new_answer()
    place.wait_for(lambda: store.hits("whitelist", "w") == (3, START + 7), "the hits")
    place.wait_for(lambda: store.hits("blacklist", "b") == (1, START + 1), "the hit")
    assert store.look("SELECT value FROM mongrey WHERE name = 'revision'") == revision
    for number in range(50):
        ask(daemon, sender="friend@x.test", policy_test_time=START + 100 + number)
        if number == 25:
            store.add("domain", "other.test")
            daemon.wait_log("1 domains")
    assert daemon.stop() == 0
    assert store.hits("whitelist", "w") == (53, START + 149)
    assert [store.hits(*which)[0] for which in
            (("whitelist", "never"), ("whitelist", "late"), ("blacklist", "past"))] == [0, 0, 0]


def test_while_the_store_is_away_nobody_is_rejected_for_want_of_lists(folder):
    """Without domains and networks everybody would relay; once the store is there, its lists count."""
    store = Store(folder)
    store.fill({"domain": ["own.test"], "mynetwork": ["203.0.113.0/24"]})
    switches = "policy_settings: {domain_vrfy: true, mynetwork_vrfy: true, spoofing_enable: true}\n"
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    daemon = Daemon(folder=folder, settings=CLOCK + switches)
    try:
        daemon.start()
        stranger = lambda: ask(daemon, sender="a@own.test", recipient="b@elsewhere.test")
        assert stranger() == "DUNNO"
        other.close()
        place.wait_for(lambda: stranger() == f"554 5.7.1 spoofing [a@own.test] - {URL}#554", "the lists", 15)
        place.wait_for(lambda: ask(daemon, recipient=unique("to") + "@own.test") == new_answer(), "the greylist", 15)
        assert ask(daemon, recipient="b@elsewhere.test") == f"554 5.7.1 relay denied - {URL}#554"
    finally:
        daemon.close()


def test_who_comes_and_goes_beside_a_running_daemon_leaves_its_journal_alone(begin):
    """The last to leave an SQLite file removes its journal. Whoever takes himself for that while the daemon is there
    takes away what it has not yet moved into the file, and the file is soon none any more."""
    store, daemon = begin({"blacklist": [{"id": "b", "field_name": "sender", "value": "bad@x.test"}]})
    assert ask(daemon) == new_answer()
    journal = store.path.with_name(store.path.name + "-wal")
    before = journal.stat().st_ino
    for number in range(3):
        lists = daemon.log().count(b" lists: ")
        store.set("blacklist", "b", value=f"bad{letters(number + 1)}@x.test")
        assert journal.exists() and journal.stat().st_ino == before
        daemon.send_signal(signal.SIGHUP)
        place.wait_for(lambda: daemon.log().count(b" lists: ") > lists, "the new lists")
        asked = f"client_address={new_address()}, sender=a@x.test, recipient=b@t.test"
        assert run_command(daemon.folder, "check", "--record", "--request", asked).returncode == 0
        assert journal.exists() and journal.stat().st_ino == before
        assert ask(daemon) == new_answer()
    assert ask(daemon, sender="badc@x.test") == black("badc@x.test")
    assert daemon.stop() == 0
    assert store.look("PRAGMA integrity_check") == [("ok",)]
    assert store.keys() >= 7


@pytest.mark.parametrize("sender", ["x@\uff42\uff41\uff44.test", "x@bad\u3002test", "x@ba\u00add.test", "x@BAD.test."])
def test_another_spelling_of_a_domain_leads_round_no_list(begin, sender):
    """What a resolver makes of it is the domain: full-width letters, an ideographic stop, a soft hyphen."""
    _, daemon = begin({"blacklist": ["sender bad.test"]})
    assert daemon.ask(client_address="192.0.2.1", sender=sender).startswith("554 5.7.1 blacklisted [")
    assert "Greylisted" in daemon.ask(client_address="192.0.2.1", sender="x@b\u00e4d.test")


def test_fixtures_that_the_store_was_away_for_are_merged_when_it_is_back(folder):
    store = Store(folder)
    store.fill({"domain": ["own.test"]})
    fixtures = folder / "fixtures.yml"
    fixtures.write_text("version: 1\nblacklist:\n- {field_name: sender, value: bad.test}\n")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    daemon = Daemon(folder=folder, MONGREY_SERVER_FIXTURES=fixtures)
    try:
        daemon.start()
        assert ask(daemon, sender="x@bad.test") == "DUNNO"
        other.close()
        place.wait_for(lambda: ask(daemon, sender="x@bad.test") == black("x@bad.test"), "the fixtures", 15)
    finally:
        daemon.close()
