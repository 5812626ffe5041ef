"""The policy protocol to the byte, peers that misbehave, and what strangers may write into the log."""

import fcntl
import os
import random
import resource
import select
import socket
import stat
import struct
import termios
import time

import pytest

from lib import logline, place, policy
from lib.policy import Client, encode, new_address, request, unique

DUNNO = b"action=DUNNO\n\n"
PRIVATE = {"client_address": "10.0.0.1"}
PASSED = "DUNNO private address [10.0.0.1]"
LOOPBACK_NET = "127.0.0.0/8,::1"


def wait_until_read(peer):
    """Until the daemon has taken all that was sent on this Unix socket: what follows is then a read of its own."""
    def unread():
        return struct.unpack("i", fcntl.ioctl(peer.socket, termios.TIOCOUTQ, b"\0" * 4))[0]
    place.wait_for(lambda: unread() == 0, "the daemon's read")


@pytest.fixture
def unix(start, folder):
    return start(MONGREY_HOST=f"unix:{folder}/policy.sock")


def assert_memory(server, most):
    assert place.is_sanitized() or server.resident_bytes() <= most


# --- peers that do not read -----------------------------------------------------------------------

def private_address(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def pipeline(first, count, strangers):
    """Requests of private clients, numbered; every hundredth is a stranger's, who has to wait for the store."""
    octets, wanted = [], []
    for number in range(first, first + count):
        if strangers and number % 100 == 99:
            octets.append(encode(request(client_address=new_address(), recipient=unique("to") + "@t.test")))
            wanted.append(b"action=450 4.2.0 Greylisted")
        else:
            address = private_address(number)
            octets.append(encode(request(client_address=address)))
            wanted.append(f"action=DUNNO private address [{address}]".encode())
    return octets, wanted


def send_until_blocked(peer, strangers):
    """Requests until the daemon takes no more, since nobody reads its answers: what was wanted, and what is left."""
    wanted, left = [], b""
    peer.setblocking(False)
    while not left and len(wanted) < 200_000:
        octets, answers = pipeline(len(wanted) + 1, 100, strangers)
        wanted += answers
        left = b"".join(octets)
        deadline = time.monotonic() + 0.5
        while left and time.monotonic() < deadline:
            try:
                left = left[peer.send(left):]
            except BlockingIOError:
                time.sleep(0.005)
    assert left, "the daemon takes requests without end while nobody reads"
    return wanted, left


def read_all(peer, left, count):
    """Sends what is left while reading, until so many answers have come."""
    answers = b""
    while answers.count(b"\n\n") < count:
        ready, writable, _ = select.select([peer], [peer] if left else [], [], 10)
        assert ready or writable, "silence before all was answered"
        if writable:
            left = left[peer.send(left):]
        if ready:
            octets = peer.recv(1 << 20)
            assert octets, "closed before all was answered"
            answers += octets
    return answers.split(b"\n\n")[:-1]


@pytest.mark.parametrize("strangers", [False, True], ids=["memory only", "store between"])
def test_who_reads_late_gets_all_of_his_answers_in_order_and_nobody_elses(unix, strangers):
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(str(unix.addresses[0]))
        wanted, left = send_until_blocked(late, strangers)
        with unix.connect() as other:
            assert other.ask(client_address="10.255.255.1") == "DUNNO private address [10.255.255.1]"
        answers = read_all(late, left, len(wanted))
        assert len(answers) == len(wanted)
        assert all(answer.startswith(want) for answer, want in zip(answers, wanted))
        with unix.connect() as other:
            assert other.ask(client_address="10.255.255.2") == "DUNNO private address [10.255.255.2]"


# --- requests as they may come --------------------------------------------------------------------

def test_split_at_every_byte(unix):
    octets = encode(request(**PRIVATE))
    with unix.connect() as peer:
        for cut in range(1, len(octets)):
            peer.send(octets[:cut])
            wait_until_read(peer)
            peer.expect_silence()
            peer.send(octets[cut:])
            assert peer.read_action() == PASSED


def test_byte_by_byte(unix):
    with unix.connect() as peer:
        for octet in encode(request(**PRIVATE)):
            peer.send(bytes([octet]))
            wait_until_read(peer)
        assert peer.read_action() == PASSED


def test_many_requests_on_one_connection(share):
    with share().connect() as peer:
        assert {peer.ask(**PRIVATE) for _ in range(2000)} == {PASSED}


def test_pipelined_requests_are_answered_in_order(share):
    """Strangers wait for the disk and private clients do not: the quick must not overtake."""
    addresses = [f"10.0.{number // 250}.{number % 250}" if number % 3 else new_address() for number in range(300)]
    with share().connect() as peer:
        peer.send(b"".join(encode(request(client_address=address)) for address in addresses))
        for address in addresses:
            action = peer.read_action()
            if address.startswith("10."):
                assert action == f"DUNNO private address [{address}]"
            else:
                assert action.startswith("450 4.2.0 Greylisted for 20 seconds. ")


def test_every_attribute_of_postfix_and_unknown_ones(share):
    postfix = {"recipient_count": 0, "sasl_method": "", "sasl_username": "", "sasl_sender": "", "size": 12345,
               "ccert_subject": "", "ccert_issuer": "", "ccert_fingerprint": "", "ccert_pubkey_fingerprint": "",
               "encryption_protocol": "TLSv1.3", "encryption_cipher": "TLS_AES_256_GCM_SHA384",
               "encryption_keysize": 256, "etrn_domain": "", "stress": "", "client_port": 4711,
               "policy_context": "mx", "server_address": "192.0.2.25", "server_port": 25,
               "compatibility_level": "3.10", "mail_version": "3.10.1", "tls_sni": "",
               "not_invented_yet": "42", "x-": "", "UPPER": "case", "": "no name"}
    assert share().ask(**PRIVATE, **{name: value for name, value in postfix.items() if name}) == PASSED


def test_any_order(share):
    shuffled = random.Random(20)
    with share().connect() as peer:
        for _ in range(50):
            attributes = list(request(**PRIVATE).items())
            shuffled.shuffle(attributes)
            peer.send(encode(dict(attributes)))
            assert peer.read_action() == PASSED


@pytest.mark.parametrize("missing", [name for name in request() if name != "request"])
def test_a_missing_attribute_is_an_empty_one(share, missing):
    server = share()
    answers = [server.ask(**{missing: value, "recipient": "" if missing == "recipient" else unique("to") + "@t.test"})
               for value in (None, "")]
    assert answers[0].split(" ")[0] == answers[1].split(" ")[0]


def test_request_line_alone_is_a_request(share):
    with share().connect() as peer:
        peer.send(b"request=smtpd_access_policy\n\n")
        assert peer.read_action().startswith("DUNNO")
        assert peer.ask(**PRIVATE) == PASSED


def test_an_address_that_is_none_is_no_reason_to_stop_mail(share):
    with share().connect() as peer:
        for address in ("unknown", "1.2.3", "1.2.3.4.5", "300.1.1.1", ":::", "1" * 5000, "-1"):
            assert peer.ask(client_address=address).startswith("DUNNO")
        assert peer.ask(**PRIVATE) == PASSED


def test_values_split_at_the_first_equals_sign(share):
    server = share(MONGREY_POLICY="high")
    sender, recipient = "prvs=a=b=@x.test", unique("to=") + "=@t.test"
    assert server.ask(client_address=new_address(), sender=sender, recipient=recipient).startswith("450 ")
    place.wait_for(lambda: server.decisions(recipient=recipient, sender=sender), "the log line with both in full")


def test_stress_takes_nothing_away(share):
    assert share().ask(**PRIVATE, stress="yes") == PASSED


# --- what is no request ---------------------------------------------------------------------------

def padded(lines):
    return encode(request())[:-1] + lines + b"\n"


MALFORMED = {
    "a line without =": padded(b"nonsense\n"),
    "no request line": encode(request(request=None)),
    "another request": encode(request(request="junk_policy")),
    "an empty request": encode(request(request="")),
    "nothing but the empty line": b"\n",
    "a NUL in a value": encode(request(sender=b"a\0b@x.test")),
    "a NUL in a name": padded(b"na\0me=value\n"),
    "an attribute over 8 KiB": encode(request(sender="a" * 8193)),
    "a name over 8 KiB": padded(b"n" * 8193 + b"=1\n"),
    "over 64 KiB": padded(b"".join(b"pad%d=" % number + b"x" * 1000 + b"\n" for number in range(70))),
    "over 200 lines": padded(b"".join(b"pad%d=1\n" % number for number in range(200))),
    "another protocol": b"GET / HTTP/1.1\r\nHost: mx.t.test\r\n\r\n\n",
}
_peers = iter(range(2, 250))


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_malformed_is_answered_logged_once_and_closed(share, octets):
    server = share(MONGREY_ALLOW_HOSTS=LOOPBACK_NET)
    address = f"127.0.3.{next(_peers)}"
    peer = server.connect(source=address)
    peer.send(octets)
    assert peer.read_to_end() == DUNNO
    peer.drop()
    server.wait_log(address.replace(".", r"\."))
    assert server.ask(**PRIVATE) == PASSED
    lines = [line for line in server.log().split(b"\n") if address.encode() in line]
    assert len(lines) == 1, lines


LARGEST = {
    "an attribute of 8 KiB with its name": encode(request(**PRIVATE, helo_name="a" * (8192 - len("helo_name=")))),
    "200 lines": encode(dict(request(**PRIVATE), **{f"pad{number}": 1 for number in range(200 - len(request()))})),
    "nearly 64 KiB": encode(dict(request(**PRIVATE), **{f"pad{number}": "x" * 1000 for number in range(63)})),
}


@pytest.mark.parametrize("octets", LARGEST.values(), ids=LARGEST)
def test_the_largest_that_is_allowed_is_answered(share, octets):
    with share().connect() as peer:
        peer.send(octets)
        assert peer.read_action() == PASSED
        assert peer.ask(**PRIVATE) == PASSED


def test_requests_before_a_malformed_one_keep_their_answers(share):
    peer = share().connect()
    peer.send(encode(request(**PRIVATE)) + encode(request(client_address=new_address())) + b"nonsense\n\n"
              + encode(request(**PRIVATE)))
    assert peer.read_action() == PASSED
    assert peer.read_action().startswith("450 4.2.0 ")
    try:
        assert peer.read_to_end() == DUNNO
    except ConnectionResetError:
        pass  # What lay unread behind the bad request may turn the close into a reset.
    peer.drop()


def test_a_request_without_end_is_cut_off(share):
    server = share()
    before = server.resident_bytes()
    peer = server.connect(timeout=5)
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - began < 8:
            peer.send(b"a=" + b"x" * 16382 + b"\n")
    peer.drop()
    assert_memory(server, before + (8 << 20))
    assert server.ask(**PRIVATE) == PASSED


def test_an_error_action_of_ones_own(start):
    peer = start(MONGREY_ERROR_ACTION="451 4.3.5 Try later").connect()
    peer.send(b"nonsense\n\n")
    assert peer.read_to_end() == b"action=451 4.3.5 Try later\n\n"
    peer.drop()


# --- peers that take their time, go away or are too many ------------------------------------------

def seconds_until_closed(peer, while_waiting=lambda: None):
    began = time.monotonic()
    while time.monotonic() - began < 8:
        if peer.is_readable(0.1) and not peer.socket.recv(4096):
            return time.monotonic() - began
        try:
            while_waiting()
        except ConnectionError:
            return time.monotonic() - began
    raise AssertionError("still open")


def test_idle_peer_is_closed_without_a_word(start):
    server = start(MONGREY_IDLE_TIMEOUT=1)
    for asked in (0, 1):
        with server.connect() as peer:
            for _ in range(asked):
                peer.ask(**PRIVATE)
            began = time.monotonic()
            assert peer.read_to_end() == b""
            assert 0.9 <= time.monotonic() - began < 4


def test_begun_request_must_come_whole_in_time(start):
    """A byte now and then does not lengthen its time: that is how such peers hold a connection for ever."""
    server = start(MONGREY_CONNECTION_TIMEOUT=1)
    silent, trickling = server.connect(), server.connect()
    silent.send(b"request=smtpd_access")
    trickling.send(b"request=smtpd_access")
    assert 0.8 <= seconds_until_closed(trickling, lambda: trickling.send(b"x")) < 4
    assert seconds_until_closed(silent) < 2
    silent.drop()
    trickling.drop()
    assert server.ask(**PRIVATE) == PASSED


def test_waiting_between_requests_is_not_a_slow_request(start):
    server = start(MONGREY_CONNECTION_TIMEOUT=1)
    with server.connect() as peer:
        assert peer.ask(**PRIVATE) == PASSED
        time.sleep(1.5)
        assert peer.ask(**PRIVATE) == PASSED


def test_peers_that_vanish_leave_nothing_behind(start):
    server = start()
    server.ask(client_address="11.0.0.2")  # so that the store's own files are open before they are counted
    before = server.descriptors()
    octets = encode(request(client_address="11.0.0.1"))
    for number in range(300):
        peer = server.connect()
        peer.send(octets[:number % len(octets)] if number % 2 else octets)
        if number % 3:  # a reset in place of an orderly end
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.drop()
    assert server.ask(**PRIVATE) == PASSED
    place.wait_for(lambda: server.descriptors() <= before, "the descriptors of peers that are gone")


def test_peer_that_never_reads_is_no_burden(share):
    """It is held off by its own full socket, costs bounded memory, and nobody else waits for it."""
    server = share()
    server.ask(**PRIVATE)
    before = server.resident_bytes()
    peer = server.connect()
    peer.socket.setblocking(False)
    octets, sent = encode(request(**PRIVATE)) * 200, 0
    while sent < 128 << 20:
        _, ready, _ = select.select([], [peer.socket], [], 0.5)
        if not ready:
            break
        sent += peer.socket.send(octets)
    assert sent < 128 << 20, "the daemon takes requests without end whose answers nobody reads"
    assert_memory(server, before + (16 << 20))
    with server.connect(timeout=2) as other:
        assert other.ask(**PRIVATE) == PASSED
    peer.drop()


def test_half_closed_peer_gets_its_answer(share):
    """Who sends and shuts its writing side, as `nc -N` does, still reads."""
    peer = share().connect()
    peer.send(encode(request(**PRIVATE)))
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.read_to_end() == f"action={PASSED}\n\n".encode()
    peer.drop()


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip(f"2000 connections need more than the {hard} descriptors that are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_thousand_connections_at_once(start, many_descriptors):
    server = start(MONGREY_MAX_CLIENTS=2100)
    peers = [server.connect(timeout=30) for _ in range(2000)]
    try:
        for turn in range(2):
            for peer in peers:
                peer.send(encode(request(client_address=f"10.0.0.{turn + 1}")))
            actions = {peer.read_action() for peer in peers}
            assert actions == {f"DUNNO private address [10.0.0.{turn + 1}]"}
        for peer in peers:
            peer.expect_silence()
    finally:
        for peer in peers:
            peer.drop()


def test_one_client_too_many_is_heard_out_and_sent_away(start):
    """Answered before it asked, Postfix would take the connection for dead and try again."""
    server = start(MONGREY_MAX_CLIENTS=3, MONGREY_ALLOW_HOSTS=LOOPBACK_NET)
    guests = [server.connect() for _ in range(3)]
    for guest in guests:
        assert guest.ask(**PRIVATE) == PASSED
    late = server.connect(source="127.0.0.9")
    octets = encode(request(client_address=new_address()))
    late.send(octets[:100])
    assert not late.is_readable(0.2), "answered or closed before it has asked"
    late.send(octets[100:])
    assert late.read_to_end() == DUNNO
    late.drop()
    for guest in guests:
        assert guest.ask(**PRIVATE) == PASSED
    guests.pop().close()
    place.wait_for(lambda: stays(server), "room for one more after one has left")
    for guest in guests:
        guest.close()


def stays(server):
    """Whether a new connection outlives its first answer."""
    try:
        with server.connect() as peer:
            return [peer.ask(**PRIVATE), peer.ask(**PRIVATE)] == [PASSED, PASSED]
    except (ConnectionError, AssertionError):
        return False


# --- who may ask, and where -----------------------------------------------------------------------

def test_peer_outside_allow_hosts_is_closed_at_once(start):
    server = start(MONGREY_ALLOW_HOSTS="127.0.0.1")
    stranger = server.connect(source="127.0.0.2")
    assert stranger.read_to_end() == b""
    stranger.drop()
    server.wait_log(r"reject host \[127\.0\.0\.2\]")
    assert server.ask(**PRIVATE) == PASSED
    assert server.log().count(b"reject host") == 1


def test_allow_hosts_takes_networks(start):
    server = start(MONGREY_ALLOW_HOSTS="127.0.0.0/30, ::1")
    with server.connect(source="127.0.0.2") as peer:
        assert peer.ask(**PRIVATE) == PASSED
    stranger = server.connect(source="127.0.0.4")
    assert stranger.read_to_end() == b""
    stranger.drop()
    server.wait_log(r"reject host \[127\.0\.0\.4\]")


def test_several_listeners_of_all_kinds(start, folder):
    other = place.free_port()
    server = start(MONGREY_HOST=f"127.0.0.1,[::1],127.0.0.1:{other},unix:{folder}/policy.sock", MONGREY_PORT=0)
    kinds = {type(address) if isinstance(address, str) else address[0] for address in server.addresses}
    assert kinds == {"127.0.0.1", "::1", str}
    assert ("127.0.0.1", other) in server.addresses
    for address in server.addresses:
        with Client(address) as peer:
            assert peer.ask(**PRIVATE) == PASSED


def test_port_zero_is_the_kernels_choice_and_told(start):
    server = start(MONGREY_PORT=0)
    assert server.address[1] != 0
    assert server.ask(**PRIVATE) == PASSED


def test_ipv6_listener(start):
    port = place.free_port(socket.AF_INET6, "::1")
    server = start(MONGREY_HOST=f"[::1]:{port}")
    assert server.address == ("::1", port)
    assert server.ask(**PRIVATE) == PASSED


def test_address_in_use_stops_the_start(start):
    first = start()
    with pytest.raises(AssertionError, match="the daemon ended with 1") as refused:
        start(MONGREY_HOST=f"127.0.0.1,127.0.0.1:{first.address[1]}")
    assert str(first.address[1]) in str(refused.value)


@pytest.mark.parametrize("mode", ["0600", "0660", "0666"])
def test_mode_of_the_unix_socket(start, folder, mode):
    server = start(MONGREY_HOST=f"unix:{folder}/policy.sock", MONGREY_SOCKET_MODE=mode)
    assert stat.S_IMODE(os.stat(folder / "policy.sock").st_mode) == int(mode, 8)
    assert server.ask(**PRIVATE) == PASSED


def test_unix_socket_left_by_a_killed_daemon_is_taken_over(unix):
    unix.kill()
    unix.start()
    assert unix.ask(**PRIVATE) == PASSED


def test_unix_socket_of_a_living_daemon_is_left_alone(start, unix):
    with pytest.raises(AssertionError, match="the daemon ended with 1"):
        start(MONGREY_HOST=f"unix:{unix.address}")
    with Client(unix.address) as peer:
        assert peer.ask(**PRIVATE) == PASSED


def test_file_that_is_no_socket_is_not_removed(start, folder):
    precious = folder / "precious"
    precious.write_text("keep me")
    with pytest.raises(AssertionError, match="the daemon ended with 1"):
        start(MONGREY_HOST=f"unix:{precious}")
    assert precious.read_text() == "keep me"


# --- what strangers write into the log ------------------------------------------------------------

HOSTILE = {
    "carriage return": b"a\rb",
    "a line by carriage return": b"x\r2026-01-01 00:00:00 action=pass, reason=private",
    "escape sequence": b"\x1b[2J\x1b]0;title\x07",
    "tab, backspace, delete": b"a\tb\x08\x7fc",
    "comma and blank": b"x, action=pass, reason=triplet found, sender=good",
    "comma at the end": b"x,",
    "blanks": b"two  blanks and one at the end ",
    "an escape that is none": rb"\x41\\x0a\n",
    "backslash at the end": b"x\\",
    "equals sign": b"a=b=c",
    "quotes": b"\"a\" 'b' `c`",
    "not UTF-8": b"\xff\xfe\x80\xc3",
    "overlong and surrogate": b"\xc0\xaf\xed\xa0\x80\xf8\x88\x80\x80\x80",
    "C1 controls": "\u0085\u009b31m".encode(),
    "line and paragraph separator": "a\u2028b\u2029c".encode(),
    "bidi overrides": "\u202eevil\u202c \u2066x\u2069 \u200f".encode(),
    "plain UTF-8": "grün.été.漢字".encode(),
    "a percent sign": b"%s%n%d%%",
    "a year's worth": b"x" * 2000,
}


@pytest.mark.parametrize("field", ["sender", "client_name"])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_log_line_still_holds_the_true_fields(share, field, value):
    server = share()
    tag = unique("to") + "@t.test"
    value = value + (b"@x.test" if field == "sender" else b".x.test")
    address = new_address()
    assert server.ask(client_address=address, recipient=tag, **{field: value}).startswith("450 ")
    line = place.wait_for(lambda: server.decisions(recipient=tag), "the line")[0]
    assert line["client_address"] == address.encode()
    assert line["action"] == b"greylist" and line["reason"] == b"new"
    cut = line[field]
    assert cut == value or (len(value) > 512 and len(cut) >= 255 and value.startswith(cut.rstrip(b"."))), cut


def test_hostile_recipient_is_logged_as_it_was(share):
    server = share()
    for value in HOSTILE.values():
        recipient = value[:200] + unique().encode() + b"@t.test"
        server.ask(client_address=new_address(), recipient=recipient, helo_name=value, queue_id=value, instance=value)
        place.wait_for(lambda: server.decisions(recipient=recipient), f"the line on {recipient!r}")


def test_log_holds_nothing_that_a_terminal_or_a_parser_obeys(start):
    server = start()
    for value in HOSTILE.values():
        server.ask(client_address=new_address(), sender=value, recipient=value, client_name=value, helo_name=value,
                   queue_id=value, sasl_method=value, reverse_client_name=value)
    place.wait_for(lambda: len(server.decisions()) == len(HOSTILE), "a line for each")
    text = server.log().decode("utf-8")
    assert not logline.FORBIDDEN.search(text)


def test_what_a_malformed_peer_sends_is_escaped_too(start):
    server = start()
    for value in HOSTILE.values():
        peer = server.connect()
        peer.send(value.replace(b"=", b"-") + b"\n\n")
        assert peer.read_to_end() == DUNNO
        peer.drop()
    server.stop()
    assert not logline.FORBIDDEN.search(server.log().decode("utf-8"))
    assert not server.decisions()


def test_reply_is_one_printable_line_whatever_was_asked(share):
    server = share()
    with server.connect() as peer:
        for value in HOSTILE.values():
            for attributes in ({"client_address": value}, {"sender": value}, {"client_name": value}):
                action = peer.ask(**{"client_address": new_address(), "recipient": unique("to") + "@t.test",
                                     **attributes})
                assert len(action) <= 400 and action.isprintable()


def test_parser_of_log_lines_finds_forgeries():
    """The tests above rest on it, so it must be able to say no."""
    with pytest.raises(ValueError):
        logline.fields(b"action=greylist, reason=new, sender=x, y")
    with pytest.raises(ValueError):
        logline.fields(b"action=greylist, reason=new, sender=x, action=pass")
    assert logline.fields(rb"action=greylist, sender=a\x2cb\\x41")["sender"] == rb"a,b\x41"
    assert policy.ANSWER.match(b"action=DUNNO\n\n\n") is None
