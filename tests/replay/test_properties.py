"""What must hold of every set of lists and policies: sets made at random (of seeds that stay the same), put to `check`."""

import itertools
import random
import unicodedata

import pytest

from lib import place
from lib.daemon import Daemon, run_command
from lib.policy import new_address
from lib.store import Store

START = 1_700_000_000
ROUNDS = 25
ADDRESSES = [f"192.0.2.{n}" for n in (1, 2, 130)] + ["2001:db8::1", "2001:db8:0:1::9", "::ffff:192.0.2.1"]
NAMES = ["mx.x.test", "MX.sub.x.test", "y.test", "unknown", "mail.bücher.test"]
PEOPLE = ["ann@x.test", "Bob@x.test", "ann@sub.x.test", "postmaster@y.test", "bob@bücher.test",
          "BOB@xn--bcher-kva.test", "josé@y.test", "ann@own.test", "bob@sub.own.test"]
VALUES = {
    "client_address": ["192.0.2.1", "192.0.2.2", "192.0.2.0/25", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32",
                       "2001:db8::1", "::/0"],
    "client_name": ["mx.x.test", ".x.test", "/^mx/", "y.test", ".bücher.test"],
    "country": ["FR", "DE"],
    "helo_name": ["mx.x.test", ".test", "/x/"],
    "policy_context": ["in", "/^o/"],
    "recipient": ["ann@x.test", "bob@", "x.test", ".x.test", "/ann/", "bob@bücher.test", "josé@", "own.test"],
    "sender": ["ann@x.test", "ann@", "y.test", ".test", "/@x/", "<>", "bob@xn--bcher-kva.test"],
}
UNRELATED = {
    "client_address": ["203.0.113.0/24", "198.51.100.7", "2001:db9::/32"],
    "client_name": ["mx.elsewhere.example", ".elsewhere.example", "/^zzz-/", "x.test.example", "test"],
    "country": ["ZZ"],
    "helo_name": [".elsewhere.example", "/zzz-/", "[203.0.113.9]"],
    "policy_context": ["inn", "/^zzz/"],
    "recipient": ["zoe@x.test", "zoe@", "elsewhere.example", "/zzz-/", "nn@x.test", "bücher.example"],
    "sender": ["zoe@x.test", "zoe@", ".elsewhere.example", "/zzz-/", "x.tes", "ob@bücher.test"],
}
RULES = {"greylist_remaining": ["30s", "40s"], "greylist_enable": ["true", "false"], "greylist_mode": ["all", "off"],
         "whitelist_enable": ["false"], "domain_vrfy": ["true", "false"], "mynetwork_vrfy": ["true", "false"],
         "spoofing_enable": ["true", "false"], "outgoing_bypass": ["false"], "recipients_exempt": ["ann@, bob@x.test"],
         "greylist_default": ["on", "off"], "reply_greylist": ["450 4.2.0 own %(seconds)s %(policy)s"]}


class Maker:
    """Records and requests of one round."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.serial = itertools.count(1)

    def pick(self, values):
        field = self.random.choice(list(values))
        return {"field_name": field, "value": self.random.choice(values[field])}

    def entry(self, values=VALUES, **fixed):
        chance = self.random.random()
        doubt = {"enforce": 0} if chance < 0.15 else {"expires": 1} if chance < 0.3 else {}
        return {**self.pick(values), **doubt, **fixed}

    def policy(self, values=VALUES, **fixed):
        rules = self.random.sample(list(RULES), self.random.randint(0, 4))
        name = f"{self.random.choice('abc')}{next(self.serial)}"
        chosen = {rule: self.random.choice(RULES[rule]) for rule in rules}
        return {"name": name, "priority": self.random.choice([None, 1, 100]), **self.entry(values), **chosen, **fixed}

    def records(self):
        count = self.random.randint
        made = {"whitelist": self.distinct(count(0, 4)), "blacklist": self.distinct(count(0, 4)),
                "policy": [self.policy() for _ in range(count(0, 5))], "domain": [], "mynetwork": []}
        if self.random.random() < 0.7:
            made["domain"], made["mynetwork"] = [{"name": "own.test"}], [{"value": "192.0.2.128/25"}]
        return made

    def distinct(self, count):
        return list({(e["field_name"], e["value"]): e for e in (self.entry() for _ in range(count))}.values())

    def settings(self):
        names = ("MONGREY_DOMAIN_ENABLE", "MONGREY_MYNETWORK_ENABLE", "MONGREY_SPOOFING_ENABLE",
                 "MONGREY_GREYLIST_DEFAULT", "MONGREY_WHITELIST_ENABLE")
        return {"MONGREY_TEST_CLOCK": "true", **{name: self.random.choice(["true", "false"]) for name in names}}

    def request(self):
        choose = self.random.choice
        return {"client_address": choose(ADDRESSES), "client_name": choose(NAMES), "helo_name": choose(NAMES),
                "country": choose(["FR", "de", ""]), "policy_context": choose(["in", "out", ""]),
                "sender": choose(PEOPLE + [""]), "recipient": choose(PEOPLE), "policy_test_time": START}


def answers(records, requests, settings):
    """What `check` says to each on a store of its own that holds these records."""
    folder = place.new_folder()
    try:
        Store(folder).fill(records)
        lines = [", ".join(f"{name}={value}" for name, value in request.items()) for request in requests]
        done = run_command(folder, "check", "--request-file", "-", text="\n".join(lines), environment=settings)
        assert done.returncode == 0 and "does not count" not in done.stderr, done.stderr
        found = [line.partition(", mongrey_action=")[2] for line in done.stdout.splitlines()]
        assert len(found) == len(requests)
        return found
    finally:
        place.remove_folder(folder)


def harshness(answer):
    assert answer[:4] in ("554 ", "450 ") or answer.startswith("DUNNO"), answer
    return {"5": 2, "4": 1, "D": 0}[answer[0]]


def compare(seed, change, holds):
    """For ROUNDS sets of records: change(maker, records) gives the other one; holds(before, after) of each answer."""
    kinds = set()
    for turn in range(ROUNDS):
        maker = Maker(f"{seed} {turn}")
        records, settings = maker.records(), maker.settings()
        requests = [maker.request() for _ in range(20)]
        before = answers(records, requests, settings)
        changed = change(maker, {kind: list(many) for kind, many in records.items()})
        after = answers(changed, requests, settings)
        for request, one, other in zip(requests, before, after):
            assert holds(one, other), f"turn {turn}: {request}\n{one}\n{other}\n{records}\n{changed}"
        kinds |= {answer[:9] for answer in before}
    assert len(kinds) >= 4, "rounds that are all alike show nothing"


def added(kind, **fixed):
    def change(maker, records):
        known = {(e["field_name"], e["value"]) for e in records[kind]} if kind != "policy" else ()
        make = maker.policy if kind == "policy" else maker.entry
        new = [make(**fixed) for _ in range(3)]
        if kind != "policy":
            new = list({(e["field_name"], e["value"]): e for e in new}.values())
        records[kind] += [e for e in new if kind == "policy" or (e["field_name"], e["value"]) not in known]
        return records
    return change


SAME = lambda one, other: one == other


@pytest.mark.parametrize("kind", ["whitelist", "blacklist", "policy"])
def test_what_is_unrelated_changes_no_answer(kind):
    compare(f"unrelated {kind}", added(kind, values=UNRELATED), SAME)


@pytest.mark.parametrize("kind", ["whitelist", "blacklist", "policy"])
def test_what_is_not_enforced_changes_no_answer(kind):
    states = {"states": "RCPT, DATA"} if kind == "policy" else {}
    compare(f"unenforced {kind}", added(kind, enforce=0, **states), SAME)


@pytest.mark.parametrize("kind", ["whitelist", "blacklist", "policy"])
def test_what_has_expired_changes_no_answer(kind):
    compare(f"expired {kind}", added(kind, expires=START * 1000), SAME)


def test_the_order_of_records_changes_no_answer():
    def shuffled(maker, records):
        for kind, many in records.items():
            maker.random.shuffle(many)
            ids = [f"{kind}{number}" for number in range(len(many))]
            maker.random.shuffle(ids)
            records[kind] = [{**record, "id": made} for record, made in zip(many, ids)]
        return records
    compare("order", shuffled, SAME)


def test_a_white_entry_makes_no_answer_harsher():
    compare("white", added("whitelist"), lambda one, other: harshness(other) <= harshness(one))


def test_a_black_entry_makes_no_answer_milder():
    compare("black", added("blacklist"), lambda one, other: harshness(other) >= harshness(one))


# --- Addresses that are the same, and those that are not -------------------------------------------

# No two of them are the same address, however alike they look.
LOCALS = ["jose", "jos\u00e9", "joses", "\u03a9mega", "\u03c9mega", "stra\u00dfe", "strasse", "\u017fam", "sam", "kim",
          "\u00c5sa", "asa", "\uff41nn", "ann", "\ufb01n", "fin", "a\u200db", "ab", "\u1ea1\u0307", "ann+a", "ann.a",
          "a\\x41", "\u0130ce", "ice", "\u0131ce"]
DOMAINS = ["x.test", "b\u00fccher.test", "bucher.test", "buecher.test", "stra\u00dfe.test", "strasse.test",
           "\u03b2\u03cc\u03bb\u03bf\u03c2.test", "\u03b2\u03cc\u03bb\u03bf\u03c3.test", "\u4f8b\u5b50.test", "xn.test",
           "e\u0301x.test", "ex.test", "a.b.test", "ab.test"]


def other_case(text, ascii_only):
    def turn(c):
        upper = c.upper()
        safe = len(upper) == 1 and upper.lower() == c
        return upper if safe and (c < "\x80" or not ascii_only) else c
    return "".join(map(turn, text))


def a_label(label):
    normal = unicodedata.normalize("NFC", label)
    return label if normal.isascii() else "xn--" + normal.encode("punycode").decode()


def local_forms(local):
    forms = {local, unicodedata.normalize("NFD", local), unicodedata.normalize("NFC", local), other_case(local, True)}
    if local == "\u00c5sa":
        forms.add("\u212bsa")  # the sign for the unit is that letter
    if local == "kim":
        forms.add("\u212aim")
    return forms


def domain_forms(domain):
    ascii_form = ".".join(map(a_label, domain.split(".")))
    forms = {domain, unicodedata.normalize("NFD", domain), unicodedata.normalize("NFC", domain), ascii_form,
             other_case(ascii_form, True), other_case(unicodedata.normalize("NFC", domain), False)}
    return forms | {form + "." for form in forms}


@pytest.mark.parametrize("side", ["sender", "recipient"])
def test_one_address_has_one_row_in_all_its_forms_and_shares_it_with_no_other(folder, side):
    store = Store(folder)
    whose = random.Random(f"forms {side}")
    people = [(local, domain) for local in LOCALS for domain in DOMAINS]
    whose.shuffle(people)
    daemon = Daemon(folder=folder, MONGREY_TEST_CLOCK="true", MONGREY_PURGE_ENABLE="false", MONGREY_POLICY="high",
                    MONGREY_GREYLIST_HEADER="false").start()
    other = {"sender": "recipient", "recipient": "sender"}[side]
    constant = {"client_address": new_address(), other: "fixed@t.test"}
    try:
        with daemon.connect() as client:
            first = client.ask_all([{**constant, side: f"{local}@{domain}", "policy_test_time": START}
                                    for local, domain in people])
            assert {answer[:25] for answer in first} == {"450 4.2.0 Greylisted for "}
            assert all(" 20 seconds" in answer for answer in first)
            assert store.keys() == len(people)
            forms = [f"{local_form}@{domain_form}" for local, domain in people
                     for local_form in local_forms(local)
                     for domain_form in whose.sample(sorted(domain_forms(domain)), 4)]
            again = client.ask_all([{**constant, side: form, "policy_test_time": START + 30} for form in forms])
        strangers = [form for form, answer in zip(forms, again) if answer != "DUNNO policy[default]"]
        assert not strangers, strangers[:20]
        assert store.keys() == len(people)
    finally:
        daemon.close()
