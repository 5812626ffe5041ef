"""config-check. tests/config-check holds a case a name: NAME.yml the settings, NAME.records.yml the fixtures (without it
there is no store), NAME.expected exactly what it must print. And what it must not: on all that is shipped, a word."""

import random
import re
import sqlite3
import subprocess

import pytest

from lib import place
from lib.daemon import clean_environment

CASES = place.REPOSITORY / "tests/config-check"
NAMES = sorted(path.name.removesuffix(".expected") for path in CASES.glob("*.expected"))
FINE, FOUND, BAD_CONFIGURATION = 0, 1, 78
CODE = re.compile(r" \[([a-z0-9-]+)\]$", re.M)
LINE = re.compile(r"(error|warning): (settings|policy|whitelist|blacklist|mynetwork|mailbox|domain|\S+:\d+)\b.*: "
                  r".+ \[[a-z0-9-]+\]")


def run(folder, *arguments, **variables):
    """In a folder, on a store in it that is named relatively: a path in /tmp would be a finding."""
    environment = clean_environment(folder)
    environment.pop("MONGREY_SERVER_SETTINGS")
    environment |= {"MONGREY_DB": "sqlite:///none.db", "HOME": "/none"}
    environment.update(variables)
    return subprocess.run([str(place.SERVER), *arguments], cwd=folder, env=environment, text=True, capture_output=True,
                          timeout=60, check=False)


def findings_table():
    text = re.sub(r"/\*.*?\*/", "", (place.REPOSITORY / "core/lint/findings.def").read_text(), flags=re.S)
    return dict(re.findall(r'^FINDING\(\w+, (\w+),\s*"([a-z0-9-]+)"', text, flags=re.M)[i][::-1]
                for i in range(len(re.findall(r"^FINDING\(", text, flags=re.M))))


@pytest.mark.parametrize("name", NAMES)
def test_case(name):
    records = CASES / f"{name}.records.yml"
    fixtures = ["--fixtures", records.name] if records.exists() else []
    done = run(CASES, "--settings", f"{name}.yml", *fixtures, "--quiet", "config-check")
    expected = (CASES / f"{name}.expected").read_text()
    assert (done.stdout, done.stderr) == (expected, "")
    assert done.returncode == (FOUND if expected else FINE)
    assert not name.startswith("clean-") or expected == ""


def test_each_finding_has_a_case_and_its_level():
    table = findings_table()
    found = {}
    for name in NAMES:
        for line in (CASES / f"{name}.expected").read_text().splitlines():
            assert LINE.fullmatch(line), line
            found.setdefault(CODE.search(line)[1], set()).add(line.split(":")[0].upper())
    past_mongrey = {"guard-not-built": {"ERROR"}}  # a record that no door lets in: test_records_written_past_mongrey
    assert found | past_mongrey == {code: {level} for code, level in table.items()}
    assert len(NAMES) >= 60


def test_the_documents_list_every_code():
    done = subprocess.run([str(place.REPOSITORY / "scripts/findings-doc.py"), "--check"], text=True, capture_output=True,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- A store -----------------------------------------------------------------------------------------

def import_records(folder, text):
    (folder / "records.yml").write_text(f"version: 1\n{text}")
    done = run(folder, "--fixtures", "records.yml", "fixtures-import", MONGREY_DB="sqlite:///mongrey.db")
    assert done.returncode == FINE, done.stderr


def check_store(folder, *arguments, **variables):
    done = run(folder, *arguments, "config-check", MONGREY_DB="sqlite:///mongrey.db", **variables)
    return done.returncode, re.sub(r"\(id [0-9a-z]+\)", "(id ID)", done.stdout)


def importable():
    """But what the import refuses, and settings that name a store."""
    for name in NAMES:
        expected = (CASES / f"{name}.expected").read_text()
        refused = "[record-bad]" in expected or "[entry-twice]" in expected
        if (CASES / f"{name}.records.yml").exists() and not refused and not name.startswith("store-"):
            yield name


@pytest.mark.parametrize("name", importable())
def test_a_store_gives_the_same_findings_as_the_file_that_it_was_filled_from(folder, name):
    file_findings = (CASES / f"{name}.expected").read_text()
    imported = run(folder, "--settings", str(CASES / f"{name}.yml"), "--fixtures", str(CASES / f"{name}.records.yml"),
                   "fixtures-import", MONGREY_DB="sqlite:///mongrey.db")
    assert imported.returncode == FINE, imported.stderr
    done = run(folder, "--settings", str(CASES / f"{name}.yml"), "--quiet", "config-check",
               MONGREY_DB="sqlite:///mongrey.db")
    placed = re.sub(r"\(id [0-9a-z]+\)", "(PLACE)", done.stdout).replace(f"{CASES}/", "")
    wanted = re.sub(rf"\({re.escape(name)}\.records\.yml:\d+\)", "(PLACE)", file_findings)
    assert sorted(placed.splitlines()) == sorted(wanted.splitlines())
    assert done.returncode == (FOUND if wanted else FINE)


def test_a_store_that_is_not_there_is_said_and_is_no_finding(folder):
    done = run(folder, "config-check")
    assert done.returncode == FINE
    assert re.fullmatch(r"note: store sqlite:///none\.db: .*; only the settings are checked\n0 errors, 0 warnings\n",
                        done.stdout)
    assert not (folder / "none.db").exists()


def test_an_empty_store_is_said_and_is_no_finding(folder):
    import_records(folder, "domain: []\n")
    assert check_store(folder) == (FINE, "note: store sqlite:///mongrey.db: there are no lists, policies, domains or "
                                         "networks yet\n0 errors, 0 warnings\n")
    assert check_store(folder, "--quiet") == (FINE, "")


def test_an_empty_store_has_no_domains(folder):
    import_records(folder, "domain: []\n")
    status, said = check_store(folder, "--quiet", "--set", "domain_vrfy=true", "--set", "mynetwork_vrfy=true")
    assert status == FOUND
    assert said.startswith("error: settings --set policy_settings.domain_vrfy: ")
    assert CODE.findall(said) == ["relay-without-domains"]


def test_records_written_past_mongrey(folder):
    import_records(folder, """
whitelist:
  - {field_name: client_name, value: a.example}
  - {field_name: client_name, value: b.example}
  - {field_name: client_name, value: c.example}
blacklist:
  - {field_name: client_address, value: 192.0.2.1}
domain:
  - name: own.example
mynetwork:
  - value: 192.0.2.0/24
mailbox:
  - name: a@own.example
policy:
  - {name: p, field_name: recipient, value: x@own.example, greylist_remaining: 5m}
  - {name: q, field_name: recipient, value: y@own.example, greylist_remaining: 5m}
""")
    with sqlite3.connect(folder / "mongrey.db") as store:
        store.executescript(r"""
UPDATE whitelist SET guard = 'spf' WHERE value = 'a.example';
UPDATE whitelist SET value = 'B.example', slug = 'x' || char(10) || 'error: forged [list-everyone]' WHERE value = 'b.example';
UPDATE whitelist SET field_name = 'nonsense' WHERE value = 'c.example';
INSERT INTO whitelist (id, version, slug, field_name, value) VALUES ('zz', 1, 'second', 'client_name', 'b.EXAMPLE');
UPDATE blacklist SET value = '192.0.2.1/24';
UPDATE domain SET name = 'user@own.example';
UPDATE mynetwork SET value = 'mine';
UPDATE mailbox SET name = 'nobody';
UPDATE policy SET states = 'RCPT, LUNCH' WHERE name = 'p';
UPDATE policy SET greylist_remaining = 'soon' WHERE name = 'q';
""")
    store.close()
    status, said = check_store(folder, "--quiet")
    assert status == FOUND
    assert said.splitlines() == [
        "error: domain user@own.example (id ID): name: is no domain; it does not count until that is right [record-bad]",
        "error: mailbox nobody (id ID): name: has neither @ nor dot; write nobody@ for a user of any domain, @DOMAIN for a "
        "domain; it does not count until that is right [record-bad]",
        "error: mynetwork mine (id ID): value: is not an IP address or network; it does not count until that is right "
        "[record-bad]",
        "error: blacklist client_address:192.0.2.1 (id ID): value: has bits set behind its prefix length; write "
        "192.0.2.0/24; it does not count until that is right [record-bad]",
        "error: whitelist client_name:a.example (id ID): the proof it asks for is not built yet, so that it does not "
        "count; leave guard out, or wait [guard-not-built]",
        "error: whitelist client_name:c.example (id ID): field_name: there is no such field; it does not count until that "
        "is right [record-bad]",
        "error: policy p (id ID): states: names a state that there is not; it does not count until that is right "
        "[record-bad]",
        "error: policy q (id ID): greylist_remaining: `soon` is not a duration such as 20, 90s, 5m or 35d; it does not "
        "count until that is right [record-bad]",
        "warning: whitelist client_name b.EXAMPLE (id ID): is the same as B.example, which came before; remove one "
        "[entry-twice]",
    ]


def test_a_name_cannot_forge_a_line(folder):
    import_records(folder, "policy:\n  - {name: p, field_name: recipient, value: own.example}\n")
    with sqlite3.connect(folder / "mongrey.db") as store:
        store.execute("UPDATE policy SET name = ?", ("p\nerror: forged [policy-tie]",))
    store.close()
    _, said = check_store(folder, "--quiet")
    assert said == ("error: policy p\\x0aerror: forged [policy-tie] (id ID): name: is no name; it does not count until that "
                    "is right [record-bad]\n")


def test_it_changes_nothing(folder):
    import_records(folder, "domain:\n  - name: own.example\n")
    before = (folder / "mongrey.db").read_bytes()
    assert check_store(folder) == (FINE, "0 errors, 0 warnings\n")
    assert (folder / "mongrey.db").read_bytes() == before


# --- What it says is so ------------------------------------------------------------------------------

CLIENTS = ["192.0.2.130", "192.0.2.129", "192.0.2.1", "192.0.3.1", "192.9.9.9", "8.8.8.8"]
RECIPIENTS = ["a@sub.own.example", "b@sub.own.example", "a@own.example", "b@own.example", "a@x.sub.own.example",
              "c@x.sub.own.example", "a@other.test", "b@other.test", "c@other.test"]
VALUES = [("client_address", value) for value in ("192.0.0.0/8", "192.0.2.0/24", "192.0.2.128/25", "192.0.2.130")] + \
    [("recipient", value) for value in (".own.example", "own.example", "sub.own.example", ".sub.own.example",
                                        "a@sub.own.example", "a@", "a@own.example", "b@")]
TWISTS = ["", "", "", ", enforce: false", ", expires: 2090-01-01T00:00:00Z"]


@pytest.mark.parametrize("seed", range(16))
def test_a_policy_that_is_called_unreachable_answers_nobody(folder, seed):
    """Each policy has a delay of its own, by which an answer shows whose rules held."""
    chance = random.Random(seed)
    rows = []
    for number in range(8):
        field, value = chance.choice(VALUES)
        rows.append(f'  - {{name: p{number}, field_name: {field}, value: "{value}", priority: {chance.randint(1, 3)}, '
                    f"greylist_remaining: {1000 + number}{chance.choice(TWISTS)}}}\n")
    import_records(folder, "policy:\n" + "".join(rows))
    profile = chance.choice([[], ["--set", "profile=mongrey"]])
    _, said = check_store(folder, "--quiet", *profile)
    unreachable = set(re.findall(r"^error: policy p(\d) .*\[policy-unreachable\]$", said, flags=re.M))
    requests = [f"client_address={client}, sender=s@s.test, recipient={recipient}\n"
                for client in CLIENTS for recipient in RECIPIENTS]
    (folder / "requests").write_text("".join(requests))
    answers = run(folder, *profile, "--request-file", "requests", "check", MONGREY_DB="sqlite:///mongrey.db").stdout
    assert answers.count("Greylisted for") == len(requests)
    assert unreachable.isdisjoint(re.findall(r"Greylisted for 100(\d)", answers))


# --- Ways in -----------------------------------------------------------------------------------------

def test_places_of_settings(folder):
    done = run(folder, "--set", "greylist_key=vlow", "--quiet", "config-check", MONGREY_ERROR_ACTION="REJECT",
               MONGREY_SPAWN="5")
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == [
        "settings", "settings $MONGREY_ERROR_ACTION error_action", "settings --set policy_settings.greylist_key"]


def test_the_last_line_counts(folder):
    done = run(folder, "--set", "test_clock=true", "--set", "purge_enable=false", "--set", "greylist_key=vlow",
               "config-check")
    assert done.stdout.splitlines()[-1] == "1 errors, 2 warnings"
    assert done.returncode == FOUND


def test_what_cannot_be_read_is_78(folder):
    (folder / "bad.yml").write_text("hosst: x\n")
    assert run(folder, "--settings", "bad.yml", "config-check").returncode == BAD_CONFIGURATION
    missing = run(folder, "--fixtures", "none.yml", "config-check")
    assert (missing.returncode, missing.stdout) == (BAD_CONFIGURATION, "")
    assert "none.yml: " in missing.stderr
    (folder / "other.db").write_text("this is no database, and long enough to be sure of it" * 40)
    assert run(folder, "config-check", MONGREY_DB="sqlite:///other.db").returncode == BAD_CONFIGURATION
    assert run(folder, "config-check", MONGREY_DB="nothing://x").returncode == BAD_CONFIGURATION


def test_fixtures_from_standard_input(folder):
    records = "version: 1\npolicy:\n  - {name: p, field_name: recipient, value: own.example}\n"
    done = subprocess.run([str(place.SERVER), "--fixtures", "-", "--quiet", "config-check"], cwd=folder, text=True,
                          env={**clean_environment(folder), "MONGREY_SERVER_SETTINGS": ""}, input=records,
                          capture_output=True, check=False)
    assert done.stdout.startswith("warning: policy p (standard input:3): ")


# --- What is shipped says nothing --------------------------------------------------------------------

def test_the_sample_of_config_install(folder):
    assert run(folder, "--settings", "server.yml", "config-install").returncode == FINE
    assert run(folder, "--settings", "server.yml", "--quiet", "config-check").stdout == ""
    sample = (folder / "server.yml").read_text()
    (folder / "server.yml").write_text(re.sub(r"^(\s*)#((?:  )?[a-z_0-9]+:.*)$", r"\1\2", sample, flags=re.M))
    done = run(folder, "--settings", "server.yml", "--set", "db_settings.host=sqlite:///none.db", "--quiet", "config-check")
    # Every line of it edited, with its default: what is told can only be of what needs another to make sense.
    assert (CODE.findall(done.stdout), done.stderr) == (["outgoing-without-networks"], "")


def blocks():
    """YAML in the documents: fenced, or the settings that README and the manual name on a line."""
    for path in [place.REPOSITORY / "README.md", *sorted((place.REPOSITORY / "docs/manual").rglob("*.md"))]:
        for number, text in enumerate(re.findall(r"^```ya?ml\b[^\n]*\n(.*?)^```", path.read_text(), flags=re.S | re.M)):
            yield pytest.param(text, id=f"{path.relative_to(place.REPOSITORY)}-{number}")


@pytest.mark.parametrize("text", blocks())
def test_examples_of_the_documents(folder, text):
    is_records = re.search(r"^(version|domain|mailbox|mynetwork|whitelist|blacklist|policy|pool):", text, flags=re.M)
    (folder / "example.yml").write_text(text)
    option = "--fixtures" if is_records else "--settings"
    done = run(folder, option, "example.yml", "--quiet", "config-check")
    # An example may show what is odd, such as an entry that has expired; nothing in it may be what cannot work.
    assert not re.search(r"^error: ", done.stdout, flags=re.M), done.stdout


@pytest.mark.parametrize("setting", ["host: unix:/var/spool/postfix/mongrey/socket", "policy_settings:\n  greylist_remaining: 5m",
                                     "policy_settings:\n  greylist_ipv4_prefix: 32", "profile: mongrey"])
def test_what_the_readme_tells_to_set(folder, setting):
    (folder / "readme.yml").write_text(setting + "\n")
    assert run(folder, "--settings", "readme.yml", "--quiet", "config-check").stdout == ""


# --- Many --------------------------------------------------------------------------------------------

def test_a_hundred_thousand_entries_take_less_than_five_seconds_of_cpu(folder):
    """Of them many in each other, and many with one value: what compares each with each does not end."""
    with open(folder / "many.yml", "w", encoding="ascii") as f:
        f.write("version: 1\nwhitelist:\n")
        for i in range(50000):
            f.write(f"  - {{field_name: client_address, value: 64.{i // 256 % 256}.{i % 256}.{i // 65536}}}\n")
        f.write("  - {field_name: client_address, value: 64.0.0.0/9}\nblacklist:\n")
        for i in range(30000):
            f.write(f"  - {{field_name: sender, value: u{i}@spam{i % 99}.example}}\n")
        f.write("policy:\n")
        for i in range(20000):
            f.write(f"  - {{name: p{i}, field_name: recipient, value: a@own.example, greylist_remaining: {i % 3000 + 1}}}\n")
    limit = 60 if place.is_sanitized() else 5
    done = subprocess.run(["/bin/sh", "-c", f'ulimit -t {limit}; exec "$@"', "-", str(place.SERVER), "--fixtures",
                           "many.yml", "config-check"], cwd=folder, env={"MONGREY_DB": "sqlite:///none.db"}, text=True,
                          capture_output=True, check=False)
    lines = done.stdout.splitlines()
    assert lines[-1:] == ["19999 errors, 32768 warnings"], (done.returncode, lines[-1:])
