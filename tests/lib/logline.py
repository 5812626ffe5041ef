r"""Reads the daemon's log as a site's script would: lines end at LF, fields at comma and blank, \xHH is a byte."""

import json
import re

FIELD = re.compile(rb"([a-z_]+)=(.*)\Z", re.DOTALL)
BODY = re.compile(rb"(?:\A| )(action=.*)\Z", re.DOTALL)  # behind the time, and Postfix's queue id where there is one
SEPARATOR = re.compile(rb", ?")  # a script may split at the comma alone
ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(\\))")
# What must never stand raw in a log: controls (C0, DEL, C1), line and paragraph separators, marks that turn the text.
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def unescape(value):
    return ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\", value)


def fields(line):
    """The fields of one decision, as bytes; a field that is no field or comes twice is a forged line."""
    found = {}
    for part in SEPARATOR.split(BODY.search(line)[1]):
        field = FIELD.match(part)
        if not field:
            raise ValueError(f"no field: {part!r} in {line!r}")
        name = field[1].decode()
        if name in found:
            raise ValueError(f"{name} twice in {line!r}")
        found[name] = unescape(field[2])
    return found


def decisions(log):
    return [fields(line) for line in log.split(b"\n") if BODY.search(line) and b", reason=" in line]


def objects(log):
    """The decisions of a log in JSON: each line that begins with a brace is one object, and no name comes twice in it."""
    return [json.loads(line, object_pairs_hook=members) for line in log.split(b"\n") if line.startswith(b"{")]


def members(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError(f"a name twice in {pairs!r}")
    return dict(pairs)
