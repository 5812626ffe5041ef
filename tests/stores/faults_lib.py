"""What the fault tests of all stores share: a driver in a process of its own, told what to do line by line."""

import collections
import subprocess
import threading

from lib import place

Answer = collections.namedtuple("Answer", "status milliseconds number text")

CONNECT, CALL = 1500, 1500
# What a call may take: both time-outs together, and what a busy machine adds.
MOST = CONNECT + CALL + 1500


class Poke:
    """A driver and a URL in a process (tests/stores/poke.c): poke("count 1 1") does it and returns its Answer."""

    def __init__(self, driver, url, connect=CONNECT, call=CALL, read_only=False):
        self.log = []
        self.process = subprocess.Popen(
            [str(place.BUILD / "tests/poke"), str(place.BUILD / f"drivers/{driver}.so"), url, str(connect), str(call),
             *(["ro"] if read_only else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.reader.join(5)

    def say(self, command):
        """Tells it and does not wait; listen() has the answer."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def listen(self):
        line = self.process.stdout.readline()
        assert line, f"the driver's process ended: {self.log}"
        status, milliseconds, number, text = line.rstrip("\n").split(" ", 3)
        return Answer(status, int(milliseconds), int(number), text)

    def __call__(self, command):
        self.say(command)
        return self.listen()

    def up(self):
        """Opened and attached."""
        for command in ("open", "attach"):
            answer = self(command)
            assert answer.status == "OK", answer
        return self


def count_batches(poke, keys, until):
    """Batches of COUNT by 1 of the same keys until one does not go, or until(n) after the n-th. Returns how many
    were done for certain, and the answer that was not OK (or None)."""
    done = 0
    while True:
        answer = poke(f"batch 0 {keys}")
        if answer.status != "OK":
            return done, answer
        done += 1
        if until(done):
            return done, None


def counts(poke, keys):
    """What the counters say, each."""
    return [poke(f"count {key} 0").number for key in range(keys)]
