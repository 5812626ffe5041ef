"""Proof from system calls that an answer waited for the disk.

strace stops a thread before a call begins and after it has ended, and writes both in the order in which it saw them. So
with "line" for time: the request's read has ended, then a sync of the write-ahead log begins and ends well, then the
answer's write begins. Nothing is concluded from clock times.
"""

import dataclasses
import re

SYSCALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,pwritev2,fsync,fdatasync"
READS = ("read", "readv", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync")
STORES = ("pwrite64", "pwritev", "pwritev2", "write")

LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?)(?:\) += (?P<result>-?\d+|\?).*| <unfinished \.\.\.>)$")
RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>-?\d+|\?).*$")
PLACE = re.compile(r"\d+<(?P<place>(?:[^>]|(?<=-)>)*)>")  # the arrow of a TCP pair does not end it
RECIPIENT = re.compile(r"recipient=([^\\\"]+)\\n")
DEFERRAL = "action=450 "


def command(output):
    """strace as a grandchild of the test (-D), so that the test's own child stays the daemon."""
    return ["strace", "-D", "-f", "-qq", "-yy", "-s", "70000", "-e", f"trace={SYSCALLS}", "-o", str(output)]


@dataclasses.dataclass
class Call:
    name: str
    place: str
    arguments: str
    begun: int
    ended: int = None
    result: int = None


def parse(text):
    """The calls of a trace in the order in which they began; a call's times are line numbers."""
    calls, open_calls = [], {}
    for number, line in enumerate(text.splitlines()):
        found = LINE.match(line)
        if not found:
            continue
        thread, rest = found["thread"], found["rest"]
        resumed = RESUMED.match(rest)
        if resumed:
            call = open_calls.pop(thread, None)
            if call:
                call.arguments += resumed["arguments"]
                finish(call, number, resumed["result"])
            continue
        begun = CALL.match(rest)
        if not begun:
            continue
        where = PLACE.match(begun["arguments"])
        call = Call(begun["name"], where["place"] if where else "", begun["arguments"], number)
        calls.append(call)
        if begun["result"] is None:
            open_calls[thread] = call
        else:
            finish(call, number, begun["result"])
    return calls


def finish(call, number, result):
    call.ended = number
    call.result = None if result == "?" else int(result)


def deferrals(calls):
    """(recipient, the read that brought the request, the write that began its answer) of every deferral; one request
    at a time is on a connection, so the last one read is the one that is answered."""
    asked = {}
    for call in calls:
        if call.name in READS and call.ended is not None:
            found = RECIPIENT.search(call.arguments)
            if found:
                asked[call.place] = (found[1], call)
        elif call.name in WRITES and DEFERRAL in call.arguments:
            recipient, read = asked.pop(call.place)
            yield recipient, read, call


def answered_before_durable(calls, log_suffix="-wal"):
    """The recipients whose deferral was written without the row's bytes and their sync before it."""
    syncs = [call for call in calls if call.name in SYNCS and call.place.endswith(log_suffix) and call.result == 0]
    stores = [call for call in calls if call.name in STORES and call.place.endswith(log_suffix)
              and call.ended is not None and call.result and call.result > 0]
    guilty = []
    for recipient, read, answer in deferrals(calls):
        kept = [sync for sync in syncs if read.ended < sync.begun and sync.ended < answer.begun
                and any(read.ended < store.begun and store.ended < sync.begun for store in stores)]
        if not kept:
            guilty.append(recipient)
    return guilty
