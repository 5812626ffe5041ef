"""Lists, policies and the other rules through a real Postfix: what its client, an SMTP server somewhere, is told."""

import re
import time

import pytest

from lib import place, postfix, smtp
from lib.daemon import Daemon
from lib.policy import new_address, unique
from lib.store import Store

DELAY = 1
URL = "http://mongrey.readthedocs.org/en/latest/errors.html"
ANN, BOB, POST, OPTED, OPEN = "ann@t.test", "bob@t.test", "postmaster@t.test", "in@opt.test", "any@opt.test"
RECIPIENTS = [ANN, BOB, POST, OPTED, OPEN, "slow@t.test", "learn@t.test", "ctx@t.test", "data@t.test", "end@t.test",
              "jürgen@bücher.test", "hans@bücher.test", "hans@xn--bcher-kva.test"]

pytestmark = pytest.mark.skipif(bool(postfix.why_not()), reason=postfix.why_not() or "-")

SETTINGS = f"""
policy_settings:
  greylist_remaining: {DELAY}
  domain_vrfy: true
  mynetwork_vrfy: true
  spoofing_enable: true
"""
RECORDS = {
    "domain": ["t.test", "opt.test", "xn--bcher-kva.test"],
    "mynetwork": ["203.0.113.0/24"],
    "blacklist": ["sender bad@x.test", "client_name mx.bad.test", "helo_name bad-helo.test",
                  "client_address 192.0.2.66", "policy_context closed", "sender spam@xn--bcher-kva.test"],
    "whitelist": ["sender friend@x.test", "client_name .friends.test", "sender ünal@x.test"],
    "policy": [
        {"name": "slow", "field_name": "recipient", "value": "slow@t.test", "greylist_remaining": "1h"},
        {"name": "learn", "field_name": "recipient", "value": "learn@t.test", "greylist_mode": "learn"},
        {"name": "opt", "field_name": "recipient", "value": "opt.test", "greylist_default": "off"},
        {"name": "opted", "field_name": "recipient", "value": OPTED, "greylist_default": "on"},
        {"name": "second", "field_name": "policy_context", "value": "second", "greylist_remaining": "90s"},
        {"name": "data", "field_name": "recipient", "value": "data@t.test", "states": "DATA",
         "greylist_remaining": "70s"},
        {"name": "end", "field_name": "recipient", "value": "end@t.test", "states": "END-OF-MESSAGE",
         "reply_greylist": "451 4.7.1 Not yet, %(sender)s (policy %(policy)s)"},
    ],
}

# As an administrator who leaves relaying to mongrey has it: asked before Postfix's own check.
FIRST = "{name}_restrictions = check_policy_service {{ {service}, timeout=10s }}, reject_unauth_destination\n"
CONTEXTS = """{name}_restrictions = reject_unauth_destination,
 check_policy_service {{ {service}, policy_context=first }},
 check_policy_service {{ {service}, policy_context=second }}
"""
CLOSED = """{name}_restrictions = reject_unauth_destination,
 check_policy_service {{ {service}, policy_context=closed }}
"""
NOTHING = "{name}_restrictions = reject_unauth_destination\n"
LATE = "check_policy_service {{ {service} }}"


@pytest.fixture(scope="module")
def mongrey():
    folder = place.new_folder()
    Store(folder).fill(RECORDS)
    server = Daemon(folder=folder, settings=SETTINGS)
    try:
        yield server.start()
    finally:
        server.close()
        place.remove_folder(folder)


@pytest.fixture(scope="module")
def mx(mongrey):
    where = f"inet:127.0.0.1:{mongrey.address[1]}"
    server = postfix.Postfix({
        "inet": postfix.Service(where),
        "first": postfix.Service(where, restrictions=FIRST),
        "contexts": postfix.Service(where, restrictions=CONTEXTS),
        "closed": postfix.Service(where, restrictions=CLOSED),
        "data": postfix.Service(where, restrictions=NOTHING, options={"smtpd_data_restrictions": LATE}),
        "end": postfix.Service(where, restrictions=NOTHING, options={"smtpd_end_of_data_restrictions": LATE}),
    }, RECIPIENTS, domains="t.test, opt.test, bücher.test, xn--bcher-kva.test")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def send(mx):
    """send(sender, recipients..., address=..., entrance=...) by a stranger where nothing else is said."""
    def send_from(sender, *recipients, entrance="inet", address=None, **client):
        return smtp.deliver(mx.ports[entrance], sender, *recipients, address=address or new_address(), **client)
    return send_from


def somebody():
    return unique("from") + "@x.test"


def refusal(recipient, text):
    """As Postfix words a policy's reply to a recipient."""
    code, status, rest = text.split(" ", 2)
    return f"{code} {status} <{recipient}>: Recipient address rejected: {rest}"


def deferral(recipient, seconds=DELAY, policy="default"):
    return refusal(recipient, f"450 4.2.0 Greylisted for {seconds} seconds. policy[{policy}] - {URL}#greylisted")


BLACK = {
    "sender": ({}, "bad@x.test", "bad@x.test"),
    "sender in capitals": ({}, "BAD@X.test", "BAD@X.test"),
    "name": ({"name": "mx.bad.test"}, None, "mx.bad.test"),
    "HELO": ({"helo": "bad-helo.test"}, None, "bad-helo.test"),
    "address": ({"address": "192.0.2.66"}, None, "192.0.2.66"),
    "context": ({"entrance": "closed"}, None, "closed"),
}


@pytest.mark.parametrize("client, sender, value", BLACK.values(), ids=BLACK)
def test_blacklisted(mongrey, send, client, sender, value):
    sent = send(sender or somebody(), ANN, **client)
    assert sent.reply == refusal(ANN, f"554 5.7.1 blacklisted [{value}] - {URL}#554")


def test_relay_denied_by_mongrey(send):
    reply = send(somebody(), "carol@elsewhere.test", entrance="first").reply
    assert reply == refusal("carol@elsewhere.test", f"554 5.7.1 relay denied - {URL}#554")


def test_ones_own_domain_is_no_relaying(send):
    assert send(somebody(), ANN, entrance="first").reply == deferral(ANN)


def test_spoofing(send):
    assert send("bob@t.test", ANN).reply == refusal(ANN, f"554 5.7.1 spoofing [bob@t.test] - {URL}#554")


def test_outgoing(mx, mongrey, send):
    who = unique("own") + "@t.test"
    sent = send(who, ANN, address="203.0.113.20")
    assert sent.accepted and mx.delivered(sent, ANN)
    assert mongrey.reasons(sender=who) == ["outgoing"]


@pytest.mark.parametrize("sender, name", [("friend@x.test", "mail.x.test"), (None, "mx.friends.test")])
def test_whitelisted(mx, send, sender, name):
    sent = send(sender or somebody(), ANN, name=name)
    assert sent.accepted and not mx.delivered(sent, ANN).get_all("X-Greylist", [])


def test_an_unconfirmed_name_is_not_whitelisted(send):
    """Postfix says `unknown` of it, whatever its reverse name is."""
    assert send(somebody(), ANN, name="[UNAVAILABLE]", helo="mx.friends.test").reply == deferral(ANN)


def test_authenticated(mongrey, send):
    """XCLIENT's LOGIN is what a log-in by SASL leaves behind."""
    who = "bob@t.test"  # whom mongrey would take for spoofed
    recipient_lines = len(mongrey.decisions(sender=who, reason="authenticated"))
    sent = send(who, ANN, login="bob")
    assert sent.accepted, sent
    place.wait_for(lambda: len(mongrey.decisions(sender=who, reason="authenticated")) > recipient_lines, "the line")


def test_exempt_recipient_beside_one_that_waits(mx, send):
    sent = send(somebody(), POST, BOB)
    assert sent.replies[BOB] == deferral(BOB) and sent.replies[POST].startswith("250 ")
    assert mx.delivered(sent, POST)


def test_a_policys_own_delay(send):
    who, address = somebody(), new_address()
    assert send(who, "slow@t.test", address=address).reply == deferral("slow@t.test", 3600, "slow")
    time.sleep(DELAY + 0.1)
    left = re.search(r"Greylisted for (\d+) seconds", send(who, "slow@t.test", address=address).reply)
    assert 3590 <= int(left[1]) < 3600


def test_learning(mx, mongrey, send):
    who = somebody()
    sent = send(who, "learn@t.test")
    assert sent.accepted and not mx.delivered(sent, "learn@t.test").get_all("X-Greylist", [])
    assert mongrey.reasons(sender=who) == ["learn"]


def test_opt_in(send):
    sent = send(somebody(), OPEN, OPTED)
    assert sent.replies[OPEN].startswith("250 ") and sent.replies[OPTED] == deferral(OPTED, policy="opted")


def test_two_services_with_contexts(mongrey, send):
    """One mongrey answers both; the second's policy waits longer, on the key of the first."""
    who, address = somebody(), new_address()
    assert send(who, "ctx@t.test", address=address, entrance="contexts").reply == deferral("ctx@t.test")
    time.sleep(DELAY + 0.1)
    again = send(who, "ctx@t.test", address=address, entrance="contexts")
    assert again.accepted, "what has passed is known to all policies"
    place.wait_for(lambda: len(mongrey.decisions(sender=who)) == 3, "three lines")
    assert [line["policy"].decode() for line in mongrey.decisions(sender=who)] == ["default", "default", "second"]


def test_a_check_at_data(mongrey, send):
    """Nothing was said at RCPT; DATA is refused, and so is the message."""
    who = somebody()
    sent = send(who, "data@t.test", entrance="data")
    assert sent.reply.startswith("250 ") and not sent.accepted
    assert sent.end == "450 4.2.0 <DATA>: Data command rejected: Greylisted for 70 seconds. policy[data] - " \
                       f"{URL}#greylisted"
    other = send(somebody(), ANN, entrance="data")
    assert other.accepted, "no policy asks at DATA for this one"


def test_a_check_at_end_of_message(mx, mongrey, send):
    who, address = somebody(), new_address()
    sent = send(who, "end@t.test", entrance="end", address=address)
    assert sent.end == f"451 4.7.1 <END-OF-MESSAGE>: End-of-data rejected: Not yet, {who} (policy end)"
    time.sleep(DELAY + 0.1)
    again = send(who, "end@t.test", entrance="end", address=address)
    assert again.accepted and mx.delivered(again, "end@t.test")
    assert not mx.find(sent, "end@t.test")


def test_several_recipients_at_the_end_are_no_relaying(mx, send):
    """Postfix names no recipient there where there were several."""
    sent = send(somebody(), ANN, BOB, entrance="end")
    assert sent.accepted, sent


def test_bounces_wait_on_their_own(mx, send):
    address = new_address()
    assert send("", ANN, address=address).reply == deferral(ANN)
    assert send(somebody(), ANN, address=address).reply == deferral(ANN)
    time.sleep(DELAY + 0.1)
    assert mx.delivered(send("", ANN, address=address), ANN)["Return-Path"] == "<>"


def test_smtputf8_sender_and_recipient(mx, send):
    address, recipient = new_address(), "hans@bücher.test"
    who = f"{unique('mül')}ler@x.test"
    assert send(who, recipient, address=address).reply == deferral(recipient)
    time.sleep(DELAY + 0.1)
    plain = send(somebody(), "hans@xn--bcher-kva.test", address=address)
    assert plain.accepted, "the same recipient in A-labels is the same key"
    sent = send(who, recipient, address=address)
    assert sent.accepted and mx.delivered(sent, recipient)


def test_smtputf8_lists(send):
    reply = send("spam@bücher.test", "jürgen@bücher.test").reply
    assert reply == refusal("jürgen@bücher.test", f"554 5.7.1 blacklisted [spam@b??cher.test] - {URL}#554")
    assert send("ünal@x.test", "jürgen@bücher.test").accepted
    spoofed = send("hans@bücher.test", ANN).reply
    assert spoofed == refusal(ANN, f"554 5.7.1 spoofing [hans@b??cher.test] - {URL}#554")


def test_a_change_in_the_store_reaches_the_next_mail(mongrey, send):
    store = Store(mongrey.folder)
    who = somebody()
    assert send(who, BOB).reply == deferral(BOB)
    store.add("blacklist", {"id": unique("b"), "field_name": "sender", "value": who})
    place.wait_for(lambda: send(who, BOB).reply.startswith("554 5.7.1 "), "the entry", 3)


def test_postfix_had_nothing_to_complain_of(mx):
    complaints = [line for line in mx.log().split("\n") if re.search(r"(warning|error|fatal|panic):", line)]
    assert not complaints, complaints
