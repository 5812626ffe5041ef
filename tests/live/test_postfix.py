"""Mail through a real Postfix that asks a real mongrey. Postfix gives no clock to turn, so the delay is two seconds."""

import concurrent.futures
import re
import threading
import time

import pytest

from lib import place, postfix, smtp
from lib.daemon import Daemon
from lib.policy import new_address, unique

DELAY = 2
HEADER = re.compile(r"delayed (\d+) seconds by mongrey-\S+ at \S+; \w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d \S+\Z")
GREYLISTED = re.compile(r"450 4\.2\.0 .*Greylisted for (\d+) seconds\. policy\[default\] - http://\S+#greylisted\Z")
LISTENS = "0A"  # in /proc/net/tcp
RECIPIENTS = [name + "@t.test" for name in ("ann", "bob", "cay", "dan", "eve")]
ANN, BOB, CAY, DAN, EVE = RECIPIENTS

pytestmark = pytest.mark.skipif(bool(postfix.why_not()), reason=postfix.why_not() or "-")


@pytest.fixture(scope="module")
def mongrey():
    """One daemon for all, run by an ordinary user, since spawn(8) gives its service to one, too."""
    folder = place.new_folder(owner="nobody")
    program = place.copy_programs(folder) if place.SERVER.exists() else place.SERVER
    server = Daemon(folder=folder, user="nobody", program=program, MONGREY_REMAINING=DELAY,
                    MONGREY_HOST=f"127.0.0.1,unix:{folder}/policy.sock",
                    settings=f"db_settings:\n  host: sqlite:///{folder}/mongrey.db\n"
                             f"policy_settings:\n  greylist_remaining: {DELAY}\n")
    try:
        yield server.start()
    finally:
        server.close()
        place.remove_folder(folder)


@pytest.fixture(scope="module")
def mx(mongrey):
    """A Postfix with an entrance for each way to ask."""
    nobody_there = f"inet:127.0.0.1:{place.free_port()}"
    services = {
        "inet": postfix.Service(f"inet:127.0.0.1:{mongrey.address[1]}"),
        "unix": postfix.Service(f"unix:{mongrey.folder}/policy.sock"),
        "spawn": postfix.Service("unix:private/policy"),
        "away": postfix.Service(nobody_there),
        "away_and_strict": postfix.Service(nobody_there, default_action="451 4.3.5 Try later"),
    }
    server = postfix.Postfix(services, RECIPIENTS,
                             spawn=f"{mongrey.command[0]} --settings {mongrey.settings} policy")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def send(mx):
    """send(address, sender, recipients...) by the entrance that asks over TCP."""
    def send_from(address, sender, *recipients, entrance="inet", name="mail.x.test"):
        return smtp.deliver(mx.ports[entrance], sender, *recipients, address=address, name=name)
    return send_from


def sender():
    return unique("from") + "@x.test"


def wait_out_the_delay():
    time.sleep(DELAY + 0.1)


def greylist_headers(message):
    return message.get_all("X-Greylist", [])


@pytest.mark.parametrize("entrance", ["inet", "unix", "spawn"])
def test_stranger_is_deferred_until_the_delay_is_over(mx, send, entrance):
    """The three documentation networks are no private ones."""
    address = {"inet": "203.0.113.9", "unix": "198.51.100.9", "spawn": "192.0.2.9"}[entrance]
    first = send(address, "alice@x.test", ANN, entrance=entrance)
    assert GREYLISTED.fullmatch(first.reply)[1] == str(DELAY) and not first.accepted
    again = send(address, "alice@x.test", ANN, entrance=entrance)
    assert 1 <= int(GREYLISTED.fullmatch(again.reply)[1]) <= DELAY and not again.accepted
    wait_out_the_delay()
    third = send(address, "alice@x.test", ANN, entrance=entrance)
    assert third.accepted, third
    (header,) = greylist_headers(mx.delivered(third, ANN))
    assert DELAY <= int(HEADER.match(header)[1]) <= DELAY + 3
    fourth = send(address, "alice@x.test", ANN, entrance=entrance)
    assert fourth.accepted and not greylist_headers(mx.delivered(fourth, ANN))
    assert not mx.find(first, ANN) and not mx.find(again, ANN)


def test_header_comes_once_with_several_recipients(mx, send):
    address, who = new_address(), sender()
    first = send(address, who, ANN, BOB, CAY)
    assert all(GREYLISTED.fullmatch(reply) for reply in first.replies.values()), first
    wait_out_the_delay()
    second = send(address, who, ANN, BOB, CAY)
    assert second.accepted and set(reply[:3] for reply in second.replies.values()) == {"250"}
    for recipient in (ANN, BOB, CAY):
        assert len(greylist_headers(mx.delivered(second, recipient))) == 1


def test_spawned_and_standing_daemon_share_what_they_know(mx, send):
    """The deferral of one is the other's memory, both ways."""
    address, who = new_address(), sender()
    assert GREYLISTED.fullmatch(send(address, who, ANN, entrance="spawn").reply)
    assert GREYLISTED.fullmatch(send(address, who, BOB, entrance="inet").reply)
    wait_out_the_delay()
    assert send(address, who, ANN, entrance="inet").accepted
    assert send(address, who, BOB, entrance="spawn").accepted


def test_unknown_recipient_is_rejected_and_makes_no_entry(mongrey, send):
    nobody = unique("nobody") + "@t.test"
    address, who = new_address(), sender()
    assert re.match(r"550 5\.1\.1 .*User unknown", send(address, who, nobody).reply)
    assert GREYLISTED.fullmatch(send(address, who, ANN).reply)
    place.wait_for(lambda: mongrey.decisions(client_address=address), "the line on the known recipient")
    assert [found["recipient"] for found in mongrey.decisions(client_address=address)] == [ANN.encode()]


@pytest.mark.parametrize("recipient", ["carol@elsewhere.test", "carol%elsewhere.test@t.test",
                                       "@t.test:carol@elsewhere.test"])
def test_relaying_is_rejected(mongrey, send, recipient):
    address = new_address()
    for _ in range(2):
        reply = send(address, sender(), recipient).reply
        assert re.match(r"5\d\d 5\.[17]\.1 .*(Relay access denied|User unknown)", reply)
    assert not mongrey.decisions(client_address=address)


def test_a_sender_that_waited_may_not_relay_either(send):
    address, who = new_address(), sender()
    send(address, who, ANN)
    wait_out_the_delay()
    assert send(address, who, ANN).accepted
    assert send(address, who, "carol@elsewhere.test").reply.startswith("554 5.7.1 ")


def test_null_sender_waits_and_is_delivered(mx, mongrey, send):
    address = new_address()
    assert GREYLISTED.fullmatch(send(address, "", DAN).reply)
    assert GREYLISTED.fullmatch(send(address, sender(), DAN).reply)
    wait_out_the_delay()
    bounce = send(address, "", DAN)
    message = mx.delivered(bounce, DAN)
    assert message["Return-Path"] == "<>" and len(greylist_headers(message)) == 1
    place.wait_for(lambda: len(mongrey.decisions(client_address=address)) == 3, "three lines")
    assert sum("sender" not in found for found in mongrey.decisions(client_address=address)) == 2


def test_mail_from_the_machine_itself_passes_as_private(mx, mongrey, send):
    who = sender()
    sent = send(None, who, EVE)
    assert not greylist_headers(mx.delivered(sent, EVE))
    assert mongrey.reasons(sender=who, client_address="127.0.0.1") == ["private"]


def test_ipv6_stranger(mx, send):
    assert GREYLISTED.fullmatch(send("2001:db8:1:2::9", "alice@x.test", EVE).reply)
    wait_out_the_delay()
    sent = send("2001:db8:1:2:a::77", "alice@x.test", EVE)
    assert len(greylist_headers(mx.delivered(sent, EVE))) == 1


def test_twenty_sessions_of_one_stranger_agree(mx, mongrey):
    """Twenty smtpd processes ask for one key at once: one is its first time, and one gets the header."""
    address, who = new_address(), sender()
    sessions = [smtp.Session(mx.ports["inet"], address) for _ in range(20)]
    with concurrent.futures.ThreadPoolExecutor(20) as crowd:
        first = list(crowd.map(lambda session: session.deliver(who, CAY), sessions))
        assert all(GREYLISTED.fullmatch(sent.reply) for sent in first), first
        wait_out_the_delay()
        second = list(crowd.map(lambda session: session.deliver(who, CAY), sessions))
    for session in sessions:
        session.quit()
    assert all(sent.accepted for sent in second), second
    headers = [len(greylist_headers(mx.delivered(sent, CAY))) for sent in second]
    assert sorted(headers) == [0] * 19 + [1]
    place.wait_for(lambda: len(mongrey.decisions(sender=who)) == 40, "forty lines")
    reasons = [found["reason"].decode() for found in mongrey.decisions(sender=who)]
    assert reasons.count("new") == 1 and reasons.count("triplet found") == 20
    assert sum(reason.startswith("early-retry (") for reason in reasons) == 19


def connections_to(port):
    """The clients' ports of all connections to a local port that the kernel still knows."""
    wanted, clients = f":{port:04X}", set()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            _, near, far, state = line.split()[:4]
            if state != LISTENS and wanted in (near[8:], far[8:]):
                clients.add(far if near.endswith(wanted) else near)
    return clients


def test_smtpd_keeps_its_connection(mx, mongrey):
    """A byte too many after an answer would show here: Postfix drops such a connection and opens another. One that ends
    by a reset leaves no trace in the kernel, so a look is taken after each mail."""
    port = mongrey.address[1]
    before, complaints = connections_to(port), mx.log().count("problem talking to server")

    def fifteen_mails(session):
        seen = set()
        for _ in range(15):
            session.deliver(sender(), BOB)
            seen |= connections_to(port)
        session.quit()
        return seen

    sessions = [smtp.Session(mx.ports["inet"], new_address()) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as crowd:
        seen = set().union(*crowd.map(fifteen_mails, sessions)) - before
    assert len(seen) <= 4, "60 requests of four processes"
    assert mx.log().count("problem talking to server") == complaints


class Stream(threading.Thread):
    """One sender that mongrey knows, and his mail without a pause."""

    def __init__(self, mx, address, who, recipient):
        super().__init__()
        self.port, self.address, self.who, self.recipient = mx.ports["inet"], address, who, recipient
        self.sent, self.running = [], True

    def run(self):
        with smtp.Session(self.port, self.address) as session:
            while self.running:
                self.sent.append(session.deliver(self.who, self.recipient))
                time.sleep(0.005)


def test_restarts_under_a_stream_of_mail_lose_none(mx, mongrey, send):
    known = [(new_address(), sender(), recipient) for recipient in (ANN, BOB, CAY)]
    for mail in known:
        assert GREYLISTED.fullmatch(send(*mail).reply)
    wait_out_the_delay()
    assert all(send(*mail).accepted for mail in known)
    waiting = new_address(), sender(), DAN
    assert GREYLISTED.fullmatch(send(*waiting).reply)
    streams = [Stream(mx, *mail) for mail in known]
    for stream in streams:
        stream.start()
    try:
        for end in (mongrey.stop, mongrey.kill, mongrey.stop, mongrey.kill):
            carried = len(streams[0].sent)
            place.wait_for(lambda: len(streams[0].sent) > carried + 20, "mail between two restarts")
            end()
            mongrey.start()
    finally:
        for stream in streams:
            stream.running = False
            stream.join()
    sent = [(one, stream.recipient) for stream in streams for one in stream.sent]
    refused = [one for one, _ in sent if not one.accepted]
    assert not refused, "a known sender was sent away"
    for one, recipient in sent:
        assert not greylist_headers(mx.delivered(one, recipient)), "a known sender was taken for a new one"
    late = send(*waiting)
    assert late.accepted, f"its waiting was forgotten: {late}"
    assert len(greylist_headers(mx.delivered(late, DAN))) == 1
    place.wait_for(lambda: not mx.queued(), "an empty queue")
    assert not re.search(r"status=(bounced|deferred|undeliverable)", mx.log())


@pytest.mark.parametrize("entrance, code", [("away", "250"), ("away_and_strict", "451 4.3.5 ")])
def test_while_mongrey_is_away_postfix_does_as_it_is_told(send, entrance, code):
    """With default_action=DUNNO, as the manual advises, mail gets on without the filter; the other for comparison."""
    assert send(new_address(), sender(), ANN, entrance=entrance).reply.startswith(code)


def test_postfix_had_nothing_to_complain_of(mx):
    """Warnings of restarts aside: no malformed answer, no unknown action, no surprise on an idle connection."""
    of_restarts = r"Connection refused|problem talking to server|lost connection|Unable to look up"
    complaints = [line for line in mx.log().split("\n")
                  if re.search(r"(warning|error|fatal|panic):", line) and not re.search(of_restarts, line)]
    assert not complaints, complaints
