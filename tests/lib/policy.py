"""Postfix's side of the policy protocol, stricter than Postfix: not one byte more than an answer is let pass."""

import itertools
import re
import select
import socket

ANSWER = re.compile(rb"action=([^\n]+)\n\n\Z")
_serial = itertools.count(1)


def letters(number):
    """A number in letters: mongrey takes digits in a sender for what changes from mail to mail."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def unique(prefix=""):
    return prefix + letters(next(_serial))


def new_network():
    """A public /24 that nobody has used in this run, without its last octet: clients of two tests never meet."""
    number = next(_serial)
    return f"{20 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def new_address():
    return new_network() + ".7"


def request(**given):
    """The attributes of an ordinary request at RCPT; what is given replaces, None leaves out."""
    attributes = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "protocol_name": "ESMTP",
        "helo_name": "mail.x.test",
        "queue_id": "",
        "sender": "alice@x.test",
        "recipient": "bob@t.test",
        "client_address": "203.0.113.9",
        "client_name": "unknown",
        "reverse_client_name": "unknown",
        "instance": f"1a2b.{next(_serial):x}.0",
    }
    attributes.update(given)
    return {name: value for name, value in attributes.items() if value is not None}


def encode(attributes):
    """The bytes of a request; a value may be text, a number or raw bytes."""
    lines = []
    for name, value in attributes.items():
        raw = value if isinstance(value, bytes) else str(value).encode()
        lines.append(name.encode() + b"=" + raw + b"\n")
    return b"".join(lines) + b"\n"


class Client:
    """One persistent connection, as an smtpd process holds it."""

    def __init__(self, address, source=None, timeout=10):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.drop()
        else:
            self.close()

    def ask(self, **attributes):
        """One request, its answer, and nothing else on the wire before or after."""
        self.expect_silence()
        self.send(encode(request(**attributes)))
        action = self.read_action()
        assert not self.held, f"bytes after the answer: {self.held!r}"
        return action

    def ask_all(self, requests):
        """Pipelines requests, and returns their actions in the order in which they came."""
        actions = []
        for start in range(0, len(requests), 50):
            part = requests[start:start + 50]
            self.send(b"".join(encode(request(**attributes)) for attributes in part))
            actions += [self.read_action() for _ in part]
        assert not self.held, f"bytes after the answers: {self.held!r}"
        return actions

    def send(self, octets):
        self.socket.sendall(octets)

    def read_action(self):
        while b"\n\n" not in self.held:
            octets = self.socket.recv(65536)
            if not octets:
                raise ConnectionError(f"closed after {self.held!r}")
            self.held += octets
        answer, mark, self.held = self.held.partition(b"\n\n")
        found = ANSWER.match(answer + mark)
        assert found, f"not one action line and an empty one: {answer + mark!r}"
        return found[1].decode()

    def expect_silence(self):
        """Postfix looks so, too, and takes a connection that is readable for a dead one."""
        if self.is_readable(0):
            octets = self.socket.recv(4096)
            if not octets:
                raise ConnectionError("closed")
            raise AssertionError(f"bytes before anything was asked: {octets!r}")

    def is_readable(self, seconds):
        """Bytes or an end have come (poll, since select refuses descriptors over 1023)."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def read_to_end(self):
        """All that comes until the daemon closes. A reset is not an end: it may have eaten an answer."""
        octets, self.held = self.held, b""
        while True:
            part = self.socket.recv(65536)
            if not part:
                return octets
            octets += part

    def close(self):
        """Closes in order. A stray byte that came late shows here, since the daemon's own close ends the wait."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            rest = self.read_to_end()
        finally:
            self.socket.close()
        assert not rest, f"bytes that nobody asked for: {rest!r}"

    def drop(self):
        """Goes away without ceremony."""
        self.socket.close()
