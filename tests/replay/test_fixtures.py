"""fixtures-import, fixtures-export and import-whitelist on a real store."""

import contextlib
import signal
import sqlite3
import time

import pytest

from lib import place
from lib.daemon import run_command

FINE, FAILED, WRONG_USE = 0, 1, 2


class Store:
    """A folder with a store of its own; commands that work on it."""

    def __init__(self, folder):
        self.folder = folder
        self.database = folder / "mongrey.db"

    def run(self, *arguments, text=None, **variables):
        return run_command(self.folder, *arguments, text=text, environment=variables, timeout=60)

    def load(self, text):
        return self.run("--fixtures", "-", "fixtures-import", text=text)

    def dump(self):
        done = self.run("--fixtures", "-", "fixtures-export")
        assert done.returncode == FINE, done.stderr
        return done.stdout

    def sql(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.database)) as database, database:
            return database.execute(statement, values).fetchall()

    def values(self, kind="whitelist"):
        return {value for value, in self.sql(f"SELECT value FROM {kind}")}


@pytest.fixture
def store(folder):
    return Store(folder)


@pytest.fixture
def other():
    made = place.new_folder()
    yield Store(made)
    place.remove_folder(made)


def tally(done):
    """The numbers of the line IMPORT entries[N] - success[N] - warn[N] - error[N]."""
    line = next(line for line in done.stderr.splitlines() if "IMPORT" in line)
    return tuple(int(part.split("]")[0]) for part in line.split("IMPORT")[1].split("[")[1:])


def complaints(done):
    """What was said of the file, without the log's own part of the line."""
    return [line.split("error: ", 1)[1] for line in done.stderr.splitlines() if "error: " in line]


EVERYTHING = r"""version: 1
domain:
- name: 'example.org'
  comments: "it's \"ours\"\nand stays so"
  created: 2020-02-29T01:02:03Z
- name: 'xn--bcher-kva.example'
  source: '/etc/list of ''domains'''
  created: 2020-02-29T01:02:03.004Z
mailbox:
- name: '@example.org'
  created: 2020-02-29T01:02:03Z
- name: 'user@example.org'
  comments: ' blanks '
  created: 2020-02-29T01:02:03Z
mynetwork:
- value: '192.0.2.0/24'
  created: 2020-02-29T01:02:03Z
whitelist:
- field_name: 'client_address'
  value: '2001:db8::/32'
  enforce: false
  expires: 2030-01-01T00:00:00Z
  source: '/etc/postgrey/whitelist_clients'
  created: 2020-02-29T01:02:03Z
  comments: 'null'
- field_name: 'sender'
  value: '<>'
  created: 2020-02-29T01:02:03Z
  comments: ''
blacklist:
- field_name: 'client_name'
  value: '/^(?:a''b|c\\d"#: )$/'
  created: 2020-02-29T01:02:03Z
  comments: "\x01\x7F\x85\u2028\uFEFF\U000E0001 é🐒"
- field_name: 'country'
  value: 'FR'
  created: 2020-02-29T01:02:03Z
pool:
- name: 'big one'
  networks: '192.0.2.0/24,2001:db8::/48'
  domains: 'a.example,b.example'
  created: 2020-02-29T01:02:03Z
policy:
- name: 'all'
  field_name: 'policy_context'
  value: 'Submission'
  priority: -5
  enforce: false
  expires: 2030-01-01T00:00:00Z
  states: 'RCPT,END-OF-MESSAGE'
  source: 'hand'
  created: 2020-02-29T01:02:03Z
  comments: 'c'
  whitelist_enable: false
  domain_vrfy: true
  reply_spoofing: '554 5.7.1 it''s spoofed [%(sender)s]'
  recipients_exempt: 'postmaster@, root@example.org'
  greylist_mode: 'learn'
  greylist_key: 'special'
  greylist_remaining: '90s'
  greylist_window: '36h'
  greylist_expire: '40d'
  greylist_ipv4_prefix: 32
  greylist_header: false
- name: 'nobody exempt'
  field_name: 'client_address'
  value: '10.0.0.0/8'
  priority: 100
  created: 2020-02-29T01:02:03Z
  recipients_exempt: ''
"""


def test_what_is_exported_is_imported_to_the_byte(store, other):
    done = store.load(EVERYTHING)
    assert (done.returncode, tally(done), complaints(done)) == (FINE, (12, 12, 0, 0), [])
    first = store.dump()
    assert first == EVERYTHING
    assert tally(other.load(first)) == (12, 12, 0, 0)
    assert other.dump() == first
    assert tally(other.load(first)) == (12, 0, 12, 0)
    assert other.dump() == first


def test_nothing_is_exported_of_an_empty_store(store):
    assert store.load("").returncode == FINE
    assert store.dump() == "version: 1\n"


OLD = r"""
domain:
- name: example.org
mynetwork:
- comments: null
  value: 10.11.0.0/16
whitelist:
- comments: our second MX
  field_name: client_address
  value: 192.0.2.25
- field_name: client_name
  value: 'mail.*\.partner\.example'
blacklist:
- field_name: sender
  value: spammer@bad.example
policy:
- comments: null
  domain_vrfy: true
  field_name: country
  greylist_enable: true
  greylist_expire: 3024000
  greylist_key: high
  greylist_remaining: 3600
  mynetwork_vrfy: true
  name: slow
  rbl_enable: false
  rbl_hosts: ''
  rwbl_cache_timeout: 3600
  rwbl_timeout: 30
  rwl_enable: false
  rwl_hosts: ''
  spf_enable: false
  spoofing_enable: true
  value: ru
- name: short
  value: 192.0.2.7
"""


def test_a_file_of_0_4_4_means_what_it_meant(store):
    done = store.load(OLD)
    assert (done.returncode, tally(done), complaints(done)) == (FINE, (7, 7, 0, 0), [])
    assert store.values() == {"192.0.2.25", r"/^(?:mail.*\.partner\.example)/"}
    assert store.values("blacklist") == {"spammer@bad.example"}
    defaults = ("true", "true", "true", "true", "35d")
    rules = "mynetwork_vrfy, domain_vrfy, spoofing_enable, greylist_enable, greylist_expire"
    assert store.sql(f"SELECT {rules} FROM policy ORDER BY name") == [defaults, defaults]
    assert store.sql("SELECT name, priority, greylist_key, greylist_remaining, rbl_hosts, greylist_window FROM policy "
                     "ORDER BY name") == [("short", 100, "med", "10s", None, None), ("slow", 100, "high", "1h", None, None)]


@pytest.mark.parametrize("text, wanted", [
    ("whitelist: [\n", ["standard input:2: did not find expected node content"]),
    ("version: 9\n", ["standard input:1: version: only version 1 is known; nothing is read"]),
    ("version: 1\nwhitelists: []\n",
     ["standard input:2: whitelists: there is no such kind of record; the nearest is `whitelist`"]),
    ("version: 1\npolicy:\n- name: a\n  value: 1.1.1.1\n  greylist_remaning: 5\n",
     ["standard input:5: greylist_remaning: there is no such field; the nearest is `greylist_remaining`"]),
    ("whitelist:\n- {value: <>, field_name: sender}\n",
     ["standard input:2: whitelist: value: `<>` never matched in 0.4.4; to have it match now, write it in a file with "
      "`version: 1`"]),
    ("version: 1\nwhitelist:\n- {value: 1.1.1.1, guard: spf}\n",
     ["standard input:3: whitelist: guard: `spf` is not built yet: it comes with a later version"]),
    ("version: 1\nwhitelist:\n- {value: '/(/', field_name: sender}\n- {value: 192.0.2.1/24}\n",
     None),
])
def test_a_bad_file_is_told_by_line(store, text, wanted):
    good = "\ndomain:\n- name: good.example\n" if text.endswith("}\n") else ""
    done = store.load(text + good)
    assert done.returncode == FAILED
    if wanted is not None:
        assert complaints(done) == wanted
    else:
        assert [line.split(": ")[0] for line in complaints(done)] == ["standard input:3", "standard input:4"]
        assert complaints(done)[1].endswith("`192.0.2.1/24` has bits set behind its prefix length; write 192.0.2.0/24")
    if good:
        assert store.sql("SELECT name FROM domain") == [("good.example",)], "a bad record stopped a good one"


def test_one_record_twice_in_a_file_is_a_warning(store):
    done = store.load("version: 1\nwhitelist:\n" + "- {value: 192.0.2.1}\n- {value: 192.0.2.1/32, comments: other}\n"
                      "- {value: 192.0.2.2}\n")
    assert (done.returncode, tally(done)) == (FINE, (3, 2, 1, 0))
    assert store.values() == {"192.0.2.1", "192.0.2.2"}


def test_the_file_is_found_where_it_is_said_to_be(store):
    named, by_variable = store.folder / "named.yml", store.folder / "variable.yml"
    home = store.folder / "mongrey"
    home.mkdir()
    for number, path in enumerate((named, by_variable, home / "server-fixtures.yml")):
        path.write_text(f"version: 1\nwhitelist: [{{value: 192.0.2.{number}}}]\n")
    store.run("fixtures-import")
    assert store.values() == {"192.0.2.2"}
    store.run("fixtures-import", MONGREY_SERVER_FIXTURES=by_variable)
    assert store.values() == {"192.0.2.2", "192.0.2.1"}
    store.run("fixtures-import", "--fixtures", named, MONGREY_SERVER_FIXTURES=by_variable)
    assert store.values() == {"192.0.2.2", "192.0.2.1", "192.0.2.0"}
    missing = store.run("fixtures-import", "--fixtures", store.folder / "none.yml")
    assert missing.returncode == FAILED and "none.yml: No such file or directory" in missing.stderr


def test_export_asks_before_it_replaces(store):
    assert store.load("version: 1\ndomain: [{name: a.example}]\n").returncode == FINE
    path = store.folder / "out.yml"
    done = store.run("--fixtures", path, "fixtures-export")
    assert (done.returncode, done.stdout) == (FINE, f"Success operation !. file writed: {path}\n")
    whole = path.read_text()
    assert whole.startswith("version: 1\ndomain:\n- name: 'a.example'\n")
    path.write_text("mine\n")
    done = store.run("--fixtures", path, "fixtures-export", text="n\n")
    assert done.returncode == FAILED and "canceled operation" in done.stdout
    assert path.read_text() == "mine\n"
    done = store.run("--fixtures", path, "--quiet", "fixtures-export")
    assert (done.returncode, done.stdout) == (FINE, f"Success operation !. file writed: {path}\n")
    assert path.read_text() == whole
    assert [entry.name for entry in store.folder.iterdir() if entry.name.endswith(".new")] == []


def test_twenty_thousand_entries(store, other):
    """Also a store's page of records after the other: keys that begin alike must not be left out."""
    lines = ["version: 1", "whitelist:"]
    for number in range(20_000):
        lines.append(f"- value: 10.{number >> 8 & 255}.{number & 255}.0/24\n  created: 2026-01-31T12:00:00Z")
    begun = time.monotonic()
    assert tally(store.load("\n".join(lines) + "\n")) == (20_000, 20_000, 0, 0)
    assert tally(store.load("\n".join(lines) + "\n")) == (20_000, 0, 20_000, 0)
    text = store.dump()
    assert text.count("- field_name") == 20_000
    assert time.monotonic() - begun < (120 if place.is_sanitized() else 20)
    assert tally(other.load(text)) == (20_000, 20_000, 0, 0)
    assert other.dump() == text


# --- import-whitelist -----------------------------------------------------------------------------

CLIENTS = """# clients that do not come back

# 2020-01-01: One (no retry)
one.example
# Two
192.0.2
198.51.100.7
/^mail\\d+\\.three\\.example$/
"""

REPORT = ("added", "removed", "updated", "kept because edited here", "stay deleted", "were here before", "refused")


def report(done):
    """The counts of the last line that are not 0, by their words."""
    line = done.stderr.strip().splitlines()[-1]
    words = [part.strip() for part in line.rpartition(": ")[2].split(",")]
    assert tuple(word.split(" ", 1)[1] for word in words) == REPORT, line
    return {word.split(" ", 1)[1]: int(word.split(" ", 1)[0]) for word in words if not word.startswith("0 ")}


@pytest.fixture
def clients(store):
    path = store.folder / "whitelist_clients"
    path.write_text(CLIENTS)
    return path


def test_a_list_is_read_into_the_white_list(store, clients):
    done = store.run("import-whitelist", clients)
    assert (done.returncode, report(done)) == (FINE, {"added": 4})
    assert store.sql("SELECT field_name, value, comments, source FROM whitelist ORDER BY slug") == [
        ("client_address", "192.0.2.0/24", "Two", str(clients)),
        ("client_address", "198.51.100.7", "Two", str(clients)),
        ("client_name", ".one.example", "2020-01-01: One (no retry)", str(clients)),
        ("client_name", r"/^mail\d+\.three\.example$/", "Two", str(clients))]
    before = store.dump()
    assert report(store.run("import-whitelist", clients)) == {}
    assert store.dump() == before


def test_local_edits_win(store, clients):
    store.load("version: 1\nwhitelist: [{value: .five.example, field_name: client_name, comments: by hand}]\n")
    store.run("import-whitelist", clients)
    store.sql("UPDATE whitelist SET enforce = 0, version = version + 1 WHERE value = '.one.example'")
    store.sql("DELETE FROM whitelist WHERE value = '198.51.100.7'")
    # theirs: a comment for all of Two, `one` gone, `five` new (and here by hand), `six` new
    clients.write_text(CLIENTS.replace("Two", "Two and more").replace("one.example\n", "five.example\nsix.example\n"))
    wanted = {"added": 1, "updated": 2, "kept because edited here": 1, "stay deleted": 1, "were here before": 1}
    assert report(store.run("import-whitelist", clients)) == wanted
    assert store.sql("SELECT value, enforce, comments FROM whitelist ORDER BY value") == [
        (".five.example", 1, "by hand"),
        (".one.example", 0, "2020-01-01: One (no retry)"),
        (".six.example", 1, "2020-01-01: One (no retry)"),
        (r"/^mail\d+\.three\.example$/", 1, "Two and more"),
        ("192.0.2.0/24", 1, "Two and more")]
    before = store.dump()
    again = report(store.run("import-whitelist", clients))
    assert again == {"kept because edited here": 1, "stay deleted": 1}
    assert store.dump() == before
    # theirs gives up all but the one deleted here: what nobody touched goes, what was edited stays
    clients.write_text("198.51.100.7\n")
    assert report(store.run("import-whitelist", clients)) == \
        {"removed": 3, "kept because edited here": 1, "stay deleted": 1}
    assert store.values() == {".five.example", ".one.example"}


def test_nothing_is_removed_by_a_file_that_cannot_be_read_whole(store, clients):
    store.run("import-whitelist", clients)
    clients.write_text("two words\nnew.example\n")
    done = store.run("import-whitelist", clients)
    assert done.returncode == FAILED
    assert report(done) == {"added": 1, "refused": 1}
    assert "4 that the file has no more are kept until it can be read whole" in done.stderr
    assert f"{clients}:1: `two words` has blanks in it; write one entry a line" in done.stderr
    assert len(store.values()) == 5
    clients.write_text("")
    done = store.run("import-whitelist", clients)
    assert done.returncode == FINE and "there is no record in it, so nothing is removed" in done.stderr
    assert len(store.values()) == 5
    clients.write_text("new.example\n")
    assert report(store.run("import-whitelist", clients)) == {"removed": 4}
    assert store.values() == {".new.example"}


def test_an_import_that_broke_off_is_done_again(store, clients):
    """The records are written before the base: as a crash between the two leaves them."""
    store.run("import-whitelist", clients)
    store.sql("DELETE FROM imported")
    before = store.dump()
    assert report(store.run("import-whitelist", clients)) == {}
    assert store.dump() == before
    clients.write_text("one.example\n")
    assert report(store.run("import-whitelist", clients)) == {"removed": 3, "updated": 1}


def test_recipients(store):
    by_name, by_option = store.folder / "whitelist_recipients", store.folder / "rcpt"
    by_name.write_text("postmaster@\n")
    by_option.write_text("example.org\n")
    done = store.run("import-whitelist", by_name)
    assert (done.returncode, report(done)) == (FINE, {"added": 2})
    done = store.run("import-whitelist", "--recipients", by_option)
    assert (done.returncode, report(done)) == (FINE, {"added": 1})
    assert store.sql("SELECT field_name, value, source FROM whitelist ORDER BY slug") == [
        ("recipient", ".example.org", str(by_option)),
        ("recipient", r"/^postmaster\+[^@]+@/", str(by_name)),
        ("recipient", "postmaster@", str(by_name))]


def test_a_half_address_is_a_warning(store, clients):
    clients.write_text("192.168\n")
    done = store.run("import-whitelist", clients)
    assert done.returncode == FINE
    assert f"{clients}:1: `192.168` is read as a /16" in done.stderr
    assert store.values() == {"192.168.0.0/16"}


def test_wrong_use(store):
    assert store.run("import-whitelist").returncode == WRONG_USE
    assert store.run("fixtures-import", "one", "two").returncode == WRONG_USE
    done = store.run("import-whitelist", store.folder / "nowhere")
    assert done.returncode == FAILED and "nowhere: No such file or directory" in done.stderr


# --- start ----------------------------------------------------------------------------------------

def test_start_merges_the_file_and_brings_nothing_back(folder, start):
    store, path = Store(folder), folder / "own.yml"
    path.write_text("version: 1\ndomain: [{name: localhost}]\n"
                    "blacklist: [{value: 203.0.113.1}, {value: 203.0.113.2}, {value: 203.0.113.3}]\n")

    def answers():
        daemon = start(folder=folder, MONGREY_SERVER_FIXTURES=path)
        given = [daemon.ask(client_address=f"203.0.113.{last}")[:3] for last in (1, 2, 3, 4)]
        assert daemon.stop() == 0
        assert b"localhost" not in daemon.log(), "what is taken must count"
        return given

    assert answers() == ["554", "554", "554", "450"]
    store.sql("DELETE FROM blacklist WHERE value = '203.0.113.1'")
    path.write_text(path.read_text().replace("{value: 203.0.113.3}", "{value: 203.0.113.4}"))
    assert answers() == ["450", "554", "450", "554"]
    path.write_text("version: 1\nblacklist: [\n")
    assert answers() == ["450", "554", "450", "554"], "a broken file took something away"


def test_a_reload_merges_the_fixtures_too(start, folder):
    fixtures = folder / "fixtures.yml"
    fixtures.write_text("version: 1\nwhitelist:\n- {value: 203.0.113.9}\n")
    server = start(MONGREY_SERVER_FIXTURES=fixtures)
    assert server.ask(client_address="203.0.113.9") == "DUNNO whitelisted [203.0.113.9]"
    fixtures.write_text("version: 1\nwhitelist:\n- {value: 203.0.113.10}\n")
    server.send_signal(signal.SIGHUP)
    place.wait_for(lambda: server.ask(client_address="203.0.113.10") == "DUNNO whitelisted [203.0.113.10]",
                   "the new entry")
    assert "Greylisted" in server.ask(client_address="203.0.113.9")


def test_what_is_there_and_differs_is_named_and_replaced_on_request(folder):
    def bring(delay, *options):
        text = f"version: 1\npolicy:\n- {{name: shop, value: 192.0.2.0/24, greylist_remaining: {delay}}}\n"
        return run_command(folder, *options, "--fixtures", "-", "fixtures-import", text=text)

    def kept():
        return run_command(folder, "--fixtures", "-", "fixtures-export").stdout

    assert bring("5m").returncode == 0
    again = bring("5m")
    assert "differs" not in again.stderr and "warn[1]" in again.stderr
    other = bring("10m")
    assert other.returncode == 0
    assert "warning: standard input:3: policy shop is there already, and differs: it stays as it is" in other.stderr
    assert "greylist_remaining: '5m'" in kept()
    replaced = bring("10m", "--replace")
    assert "success[1] - warn[0]" in replaced.stderr
    assert "greylist_remaining: '10m'" in kept()
    assert "warn[1]" in bring("10m", "--replace").stderr
