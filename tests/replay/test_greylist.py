"""Greylisting by the real daemon with a turned clock: every request says what time it is, so a year takes a second."""

import re
import sqlite3

import pytest

from lib import place
from lib.policy import letters, new_address, new_network, unique

SECOND, HOUR, DAY = 1, 3600, 86400
START = 1_700_000_000
URL = "http://mongrey.readthedocs.org/en/latest/errors.html"
HEADER = re.compile(r"PREPEND X-Greylist: delayed (\d+) seconds by mongrey-\S+ at \S+; \S.*")

FIRST, KNOWN = "first pass", "known"
NEW = "wait 20"


def told(action):
    """What an action means, in a word; anything that is none of the texts fails here."""
    wait = re.fullmatch(r"450 4\.2\.0 Greylisted for (\d+) seconds\. policy\[default\] - (\S+)", action)
    if wait:
        assert wait[2] == URL + "#greylisted"
        return f"wait {wait[1]}"
    if HEADER.fullmatch(action):
        return FIRST
    assert action == "DUNNO policy[default]", action
    return KNOWN


@pytest.fixture
def ask(share):
    """ask(moment, attributes) on the daemon that has the default settings and a turned clock."""
    return asker(share())


def asker(server):
    def ask_at(moment, **attributes):
        return told(server.ask(policy_test_time=START + moment, **attributes))
    return ask_at


@pytest.fixture
def share(share):
    """Purging looks at the greatest time seen, and one test's year must not end another's row."""
    def share_clocked(**settings):
        return share(MONGREY_TEST_CLOCK="true", MONGREY_PURGE_ENABLE="false", **settings)
    return share_clocked


@pytest.fixture
def mail():
    """A client, a sender and a recipient of this test's own."""
    return {"client_address": new_address(), "sender": "alice@x.test", "recipient": unique("to") + "@t.test"}


LIVES = {
    "a second early still waits, and is told the second": [(0, NEW), (19, "wait 1")],
    "the delay to the second passes": [(0, NEW), (20, FIRST), (21, KNOWN)],
    "an early retry does not start the wait anew": [(0, NEW), (10, "wait 10"), (19, "wait 1"), (20, FIRST)],
    "each answer says what is left": [(0, NEW), (1, "wait 19"), (7, "wait 13"), (15, "wait 5")],
    "the last second of the window passes": [(0, NEW), (2 * DAY - 1, FIRST)],
    "after the window it is new again": [(0, NEW), (2 * DAY, NEW), (2 * DAY + 20, FIRST)],
    "an early retry does not lengthen the window": [(0, NEW), (19, "wait 1"), (2 * DAY, NEW)],
    "a clock that steps back by a second does no harm": [(0, NEW), (-1, NEW), (20, FIRST), (19, KNOWN)],
    "seen every 30 days it stays known for a year":
        [(0, NEW), (20, FIRST)] + [(20 + month * 30 * DAY, KNOWN) for month in range(1, 13)],
    "a silence a second short of 35 days is no silence": [(0, NEW), (20, FIRST), (19 + 35 * DAY, KNOWN)],
    "after a silence of 35.6 days it is new": [(0, NEW), (20, FIRST), (20 + 35.6 * DAY, NEW)],
    "the 35 days count from the last sight":
        [(0, NEW), (20, FIRST), (20 + 34 * DAY, KNOWN), (20 + 68 * DAY, KNOWN), (20 + 103.6 * DAY, NEW)],
    "after the silence it waits as any stranger":
        [(0, NEW), (20, FIRST), (40 * DAY, NEW), (40 * DAY + 19, "wait 1"), (40 * DAY + 20, FIRST)],
}


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("steps", LIVES.values(), ids=LIVES)
def test_life_of_a_key(share, mail, steps, cache):
    """What the cache knows, and what it has not yet told the store, makes no difference to any answer."""
    ask = asker(share(MONGREY_CACHE=cache))
    answers = [(moment, ask(int(moment), **mail)) for moment, _ in steps]
    assert answers == steps


def test_what_is_left_is_a_whole_number_rounded_up(share, mail):
    """Rounded down, a sender that comes back when it was told to would be too early by a fraction."""
    ask = asker(share(MONGREY_REMAINING="2500ms"))
    assert [ask(moment, **mail) for moment in (0, 1, 2, 3)] == ["wait 3", "wait 2", "wait 1", FIRST]


def test_delay_window_and_expiry_are_settings(share, mail):
    ask = asker(share(MONGREY_REMAINING="5m", MONGREY_GREYLIST_WINDOW="1h", MONGREY_EXPIRE="2d"))
    assert ask(0, **mail) == "wait 300"
    assert ask(299, **mail) == "wait 1"
    assert ask(HOUR, **mail) == "wait 300"
    assert ask(HOUR + 300, **mail) == FIRST
    assert ask(2 * DAY, **mail) == KNOWN
    assert ask(5 * DAY, **mail) == "wait 300"


# What of the mail may change without its becoming another key: client's network, sender, recipient, recipient's domain.
KEYS = {
    "vlow": {"sender", "recipient", "domain"},
    "low": {"sender", "recipient"},
    "med": {"sender"},
    "high": set(),
    "special": {"client"},
}


@pytest.mark.parametrize("changed", ["client", "sender", "recipient", "domain"])
@pytest.mark.parametrize("key", KEYS)
def test_what_is_the_same_key(share, key, changed):
    ask = asker(share(MONGREY_POLICY=key))
    domain = unique("d") + ".test"
    known = {"client_address": new_address(), "sender": unique("from") + "@x.test", "recipient": f"bob@{domain}"}
    other = dict(known, **{
        "client": {"client_address": new_address()},
        "sender": {"sender": unique("from") + "@y.test"},
        "recipient": {"recipient": f"carol@{domain}"},
        "domain": {"recipient": f"bob@{unique('d')}.test"},
    }[changed])
    assert ask(0, **known) == NEW
    assert ask(30, **other) == (FIRST if changed in KEYS[key] else NEW)


@pytest.mark.parametrize("key", KEYS)
def test_the_same_mail_is_the_same_key(share, mail, key):
    ask = asker(share(MONGREY_POLICY=key))
    mail["sender"] = unique("from") + "@x.test"
    assert [ask(moment, **mail) for moment in (0, 20, 21)] == [NEW, FIRST, KNOWN]


def ipv6_network():
    return f"2a00:{int(new_network().split('.')[1]):x}:{int(new_network().split('.')[2]):x}"


PREFIXES = {
    "IPv4 within the /24": ({}, "{4}.1", "{4}.254", True),
    "IPv4 beside the /24": ({}, "{4}.1", "{other4}.1", False),
    "IPv4 exact, itself": ({"MONGREY_GREYLIST_IPV4_PREFIX": 32}, "{4}.1", "{4}.1", True),
    "IPv4 exact, its neighbour": ({"MONGREY_GREYLIST_IPV4_PREFIX": 32}, "{4}.2", "{4}.3", False),
    "IPv4 within a /28": ({"MONGREY_GREYLIST_IPV4_PREFIX": 28}, "{4}.17", "{4}.30", True),
    "IPv4 beside a /28": ({"MONGREY_GREYLIST_IPV4_PREFIX": 28}, "{4}.15", "{4}.16", False),
    "IPv6 within the /64": ({}, "{6}:7::1", "{6}:7:ffff:ffff:ffff:ffff", True),
    "IPv6 beside the /64": ({}, "{6}:7::1", "{6}:8::1", False),
    "IPv6 exact, itself in another spelling":
        ({"MONGREY_GREYLIST_IPV6_PREFIX": 128}, "{6}:00ab::1", "{6}:AB:0:0:0:1", True),
    "IPv6 exact, its neighbour": ({"MONGREY_GREYLIST_IPV6_PREFIX": 128}, "{6}::2", "{6}::3", False),
    "IPv6 within a /56": ({"MONGREY_GREYLIST_IPV6_PREFIX": 56}, "{6}:1200::1", "{6}:12ff::1", True),
    "IPv6 beside a /56": ({"MONGREY_GREYLIST_IPV6_PREFIX": 56}, "{6}:12ff::1", "{6}:1300::1", False),
    "IPv4-mapped is the IPv4 address": ({}, "{4}.1", "::ffff:{4}.1", True),
    "IPv4-mapped has the IPv4 prefix": ({}, "::ffff:{4}.1", "::FFFF:{4}.200", True),
    "IPv4-mapped beside the /24": ({}, "::ffff:{4}.1", "::ffff:{other4}.1", False),
}


@pytest.mark.parametrize("settings, first, second, same", PREFIXES.values(), ids=PREFIXES)
def test_network_of_the_client(share, mail, settings, first, second, same):
    ask = asker(share(**settings))
    names = {"4": new_network(), "other4": new_network(), "6": ipv6_network()}
    fill = lambda text: re.sub(r"\{(\w+)\}", lambda found: names[found[1]], text)
    assert ask(0, **dict(mail, client_address=fill(first))) == NEW
    assert ask(30, **dict(mail, client_address=fill(second))) == (FIRST if same else NEW)


def test_case_of_the_domains_makes_no_other_key(share, mail):
    ask = asker(share(MONGREY_POLICY="high"))
    assert ask(0, **dict(mail, sender="alice@x.test")) == NEW
    shouted = dict(mail, sender="alice@X.TEST", recipient=mail["recipient"].replace("t.test", "T.Test"))
    assert ask(30, **shouted) == FIRST


@pytest.mark.parametrize("key", ["med", "high", "special"])
def test_null_sender_is_a_class_of_its_own(share, mail, key):
    ask = asker(share(MONGREY_POLICY=key))
    bounce = dict(mail, sender="")
    assert [ask(moment, **mail) for moment in (0, 20)] == [NEW, FIRST]
    assert ask(21, **bounce) == NEW, "a known sender lets no bounce in"
    assert ask(41, **bounce) == FIRST
    if key == "med":
        stranger = dict(mail, client_address=new_address())
        assert ask(0, **dict(stranger, sender="")) == NEW
        assert ask(30, **stranger) == NEW, "a bounce that waited lets no sender in"


def test_header_comes_once_a_message(ask, mail):
    """Each PREPEND is a header: the second recipient's would be a second one in the same mail."""
    recipients = [unique("to") + "@t.test" for _ in range(4)]
    for recipient in recipients[:3]:
        assert ask(0, **dict(mail, recipient=recipient, instance="first.try")) == NEW
    second_try = [ask(30, **dict(mail, recipient=recipient, instance=unique("i"))) for recipient in recipients[:1]]
    assert second_try == [FIRST]
    together = unique("i")
    answers = [ask(31, **dict(mail, recipient=recipient, instance=together)) for recipient in recipients[1:3]]
    assert answers == [FIRST, KNOWN]


def test_another_messages_recipients_do_not_pass_with_it(ask, mail):
    assert ask(0, **mail) == NEW
    assert ask(30, **mail, instance=unique("i")) == FIRST
    assert ask(30, **dict(mail, recipient=unique("to") + "@t.test"), instance=unique("i")) == NEW


@pytest.mark.parametrize("stranger", ["client_address", "sender"])
def test_an_instance_made_up_by_another_client_or_sender_opens_nothing(ask, mail, stranger):
    message = unique("i")
    assert ask(0, **mail) == NEW
    assert ask(30, **mail, instance=message) == FIRST
    other = {"client_address": new_address(), "sender": "mallory@z.test"}[stranger]
    assert ask(30, **dict(mail, recipient=unique("to") + "@t.test", **{stranger: other}), instance=message) == NEW


def test_header_tells_the_delay_and_who_says_so(share, mail):
    server = share()
    server.ask(policy_test_time=START, **mail)
    action = server.ask(policy_test_time=START + 309, **mail)
    assert HEADER.fullmatch(action)[1] == "309"
    assert len(action) < 400 and action.isascii() and action.isprintable()


def test_header_may_be_turned_off(share, mail):
    ask = asker(share(MONGREY_GREYLIST_HEADER="false"))
    assert [ask(moment, **mail) for moment in (0, 20)] == [NEW, KNOWN]


def test_log_tells_each_step_in_postgreys_words(share, mail):
    server = share()
    for moment in (0, 5, 30, 31):
        server.ask(policy_test_time=START + moment, **mail)
    mine = {"recipient": mail["recipient"]}
    lines = place.wait_for(lambda: found if len(found := server.decisions(**mine)) == 4 else None, "four lines")
    steps = [(line["action"], line["reason"], line.get("delay")) for line in lines]
    assert steps == [(b"greylist", b"new", None), (b"greylist", b"early-retry (15s missing)", None),
                     (b"pass", b"triplet found", b"30"), (b"pass", b"triplet found", None)]
    for line in lines:
        assert (line["client_address"], line["sender"]) == (mail["client_address"].encode(), b"alice@x.test")
        assert line["policy"] == b"default" and line["id"]
    assert len({line["id"] for line in lines}) == 4


def test_log_leaves_out_what_is_empty(share, mail):
    """postgrey does so, and scripts that read its lines count on it."""
    server = share()
    server.ask(**dict(mail, sender=""), policy_test_time=START)
    place.wait_for(lambda: server.decisions(recipient=mail["recipient"]), "the line")
    assert "sender" not in server.decisions(recipient=mail["recipient"])[0]


PASSING = {
    "10.1.2.3": "DUNNO private address [10.1.2.3]",
    "172.31.255.255": "DUNNO private address [172.31.255.255]",
    "192.168.0.1": "DUNNO private address [192.168.0.1]",
    "127.0.0.1": "DUNNO private address [127.0.0.1]",
    "169.254.1.1": "DUNNO private address [169.254.1.1]",
    "::1": "DUNNO private address [::1]",
    "fe80::1": "DUNNO private address [fe80::1]",
    "fd00::1": "DUNNO private address [fd00::1]",
    "198.51.100.3": "DUNNO exclude filtering [198.51.100.3]",
}


@pytest.mark.parametrize("address", PASSING)
def test_private_and_excluded_clients_pass(share, address):
    server = share(MONGREY_EXCLUDES="198.51.100.0/25,203.0.113.77")
    recipient = unique("to") + "@t.test"
    assert server.ask(client_address=address, recipient=recipient) == PASSING[address]
    reason = "exclude" if "exclude" in PASSING[address] else "private"
    assert server.reasons(recipient=recipient, action="pass") == [reason]


def test_private_client_passes_in_its_mapped_form(share):
    assert share().ask(client_address="::ffff:10.1.2.3").startswith("DUNNO private address [")


@pytest.mark.parametrize("address", ["172.32.0.1", "192.0.2.1", "198.51.100.200", "203.0.113.78", "2001:db8::1",
                                     "11.0.0.1", "8.8.8.8"])
def test_others_do_not(share, address):
    server = share(MONGREY_EXCLUDES="198.51.100.0/25,203.0.113.77")
    recipient = unique("to") + "@t.test"
    assert told(server.ask(client_address=address, recipient=recipient, policy_test_time=START)) == NEW


def test_private_bypass_may_be_turned_off(share):
    server = share(MONGREY_PRIVATE_BYPASS="false")
    recipient = unique("to") + "@t.test"
    assert told(server.ask(client_address="10.9.8.7", recipient=recipient, policy_test_time=START)) == NEW


@pytest.mark.parametrize("state", ["CONNECT", "HELO", "EHLO", "MAIL", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN"])
def test_other_states_pass_and_leave_no_trace(share, mail, state):
    server = share()
    assert server.ask(**mail, policy_test_time=START, protocol_state=state) == "DUNNO"
    assert told(server.ask(**mail, policy_test_time=START + 30)) == NEW


def test_without_test_clock_the_requests_time_counts_for_nothing(start, mail):
    """Otherwise whoever reaches the port could wait out a delay by saying so."""
    server = start()
    assert told(server.ask(**mail, policy_test_time=START)) == NEW
    left = told(server.ask(**mail, policy_test_time=START + HOUR))
    assert left in ("wait 20", "wait 19", "wait 18")


def test_what_was_known_is_known_after_a_restart(start, mail):
    server = start(MONGREY_TEST_CLOCK="true", MONGREY_PURGE_ENABLE="false")
    waiting = dict(mail, recipient=unique("to") + "@t.test")
    for moment in (0, 20):
        server.ask(policy_test_time=START + moment, **mail)
    server.ask(policy_test_time=START + 20, **waiting)
    assert server.stop() == 0
    server.start()
    ask = asker(server)
    assert ask(25, **mail) == KNOWN
    assert ask(25, **waiting) == "wait 15"


def rows(database):
    """How many rows the greylist holds, and which recipients; read-only, so that a look changes nothing."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5) as store:
        return {row[0] for row in store.execute("SELECT recipient FROM greylist_entry")}


def test_purge_removes_what_has_expired_and_nothing_else(start):
    server = start(MONGREY_TEST_CLOCK="true", MONGREY_PURGE_INTERVAL=1)
    ask = asker(server)
    never_came_back, passed, fresh = ({"client_address": new_address(), "recipient": f"{letters(number)}@t.test"}
                                      for number in (1, 2, 3))
    assert ask(0, **never_came_back) == NEW
    assert [ask(moment, **passed) for moment in (0, 20)] == [NEW, FIRST]
    assert rows(server.database) >= {"a@t.test", "b@t.test"}
    assert ask(3 * DAY, **fresh) == NEW
    place.wait_for(lambda: "a@t.test" not in rows(server.database), "the purge of what never came back")
    assert rows(server.database) == {"b@t.test", "c@t.test"}
    assert ask(40 * DAY, **fresh) == NEW
    place.wait_for(lambda: "b@t.test" not in rows(server.database), "the purge of what was silent for 35 days")
    assert rows(server.database) == {"c@t.test"}
