"""Tables of requests and their exact answers (rules/*.yml), put to a real daemon with a turned clock.

A file is a list of worlds. A world has `settings` (of the YAML file), `records` (in the store before the daemon starts:
a list's entry may be written `FIELD VALUE`) and `cases`: for each name its requests, in their order. A request has
attributes that replace an ordinary one's (client_address and recipient are new in each case where it does not say), and

  at      its time, seconds after the start of the table's clock
  answer  the action to the letter. Words that save space: URL; NEW [NAME], WAIT N [NAME] and KNOWN [NAME], what
          greylisting says under policy NAME; HEADER N, the first pass after N seconds
  reason  of the log, where the test is about it
  would   would_action of the log; none where it is `-`
"""

import datetime
import pathlib
import re
import socket
import subprocess

import pytest
import yaml

from lib import place
from lib.daemon import Daemon
from lib.policy import new_address, unique
from lib.store import Store

START = 1_700_000_000
URL = "http://mongrey.readthedocs.org/en/latest/errors.html"
TABLES = pathlib.Path(__file__).parent / "rules"
ABOUT = ("at", "answer", "reason", "would")

TESTED = [(f"{path.stem}: {world['world']}", world, name, steps)
          for path in sorted(TABLES.glob("*.yml")) for world in yaml.safe_load(path.read_text())
          for name, steps in world["cases"].items()]


def version():
    done = subprocess.run([str(place.SERVER), "--version"], capture_output=True, text=True, check=True)
    return re.match(r"mongrey-\S+", done.stdout)[0]


def header(waited, now):
    date = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    return f"PREPEND X-Greylist: delayed {waited} seconds by {version()} at {socket.gethostname()}; " \
           f"{date:%a, {date.day} %b %Y %H:%M:%S} +0000"


def spell_out(answer, now):
    word, _, rest = answer.partition(" ")
    if word == "NEW":
        return spell_out(f"WAIT 20 {rest}", now)
    if word == "WAIT":
        seconds, _, name = rest.partition(" ")
        return f"450 4.2.0 Greylisted for {seconds} seconds. policy[{name or 'default'}] - {URL}#greylisted"
    if word == "KNOWN":
        return f"DUNNO policy[{rest or 'default'}]"
    if word == "HEADER":
        return header(rest, now)
    return answer.replace("URL", URL)


class World:
    """The daemon of one world; it ends when the next one's first case comes."""

    def __init__(self):
        self.name = self.daemon = self.folder = None

    def enter(self, name, world):
        if name == self.name and not self.daemon.has_ended():
            return self.daemon
        self.leave()
        self.name, self.folder = name, place.new_folder()
        settings = {"test_clock": True, "purge_enable": False, **world.get("settings", {})}
        Store(self.folder).fill(world.get("records", {}))
        self.daemon = Daemon(folder=self.folder, settings=yaml.safe_dump(settings, allow_unicode=True)).start()
        self.daemon.wait_log("lists: ")
        return self.daemon

    def leave(self):
        if self.daemon:
            try:
                self.daemon.close()
            finally:
                place.remove_folder(self.folder)
                self.daemon = None


@pytest.fixture(scope="module")
def entered():
    world = World()
    yield world
    world.leave()


def logged(daemon, instance_mark):
    """The log's line about the one request that has this mark as its queue id."""
    line = re.compile(rb"[^\n]* " + instance_mark.encode() + rb": (action=[^\n]*)\n")
    return place.wait_for(lambda: line.search(daemon.log()), f"a line about {instance_mark}", 5)[1].decode()


def field(line, name):
    found = re.search(rf", {name}=((?:[^,]|,(?! [a-z_]+=))*)", line)
    return found[1] if found else "-"


@pytest.mark.parametrize("name, world, steps", [pytest.param(name, world, steps, id=f"{name}: {case}")
                                                for name, world, case, steps in TESTED])
def test_answers(entered, name, world, steps):
    daemon = entered.enter(name, world)
    own = {"client_address": new_address(), "recipient": unique("to") + "@t.test"}
    for number, step in enumerate(steps):
        now = START + step.get("at", 0)
        mark = unique("Q").upper()
        given = {key: value for key, value in step.items() if key not in ABOUT}
        given = {"queue_id": mark, **own, **given}
        answer = daemon.ask(policy_test_time=now, **given)
        assert answer == spell_out(step["answer"], now), f"request {number + 1}: {given}"
        if "reason" in step or "would" in step:
            line = logged(daemon, mark)
            found = {"reason": field(line, "reason"), "would": field(line, "would_action")}
            assert {key: spell_out(str(step[key]), now) for key in found if key in step} == \
                {key: value for key, value in found.items() if key in step}, line


def test_there_are_enough():
    """A table that is not found tests nothing."""
    assert sum(len(steps) for *_, steps in TESTED) >= 200
