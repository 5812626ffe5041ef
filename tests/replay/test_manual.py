"""The manual: its examples do what it says, both languages say the same, and it names all there is to name.

What an example block is, stands behind its fence. In one section (from heading to heading) they share a store:
  yaml settings           the settings file from here on; `config` must take it
  yaml fixtures           is imported
  text whitelist_clients  (whitelist_recipients) postgrey's list of that name, is imported
  text check              requests, each with `→` and the answer behind; `--- 5m` lets so much time pass
  yaml records            is what `config-check` is to look at
  text config-check       lines that it must report
  text explain            a request, and lines that `check --explain` must have in this order
  text log                requests, each with `→` and the line that the daemon logs
  text explained          what `explain` says of the last request of a `text log`
  text refused            values of a black list, each with `→` and what fixtures-import says of it
… stands for anything, and so do ids, times and this machine's name."""

import itertools
import re
from typing import NamedTuple

import pytest
import yaml

from lib import place
from lib.daemon import run_command
from lib.policy import encode

MANUAL = place.REPOSITORY / "docs/manual"
LANGUAGES = ("en", "fr")
PAGES = sorted(path.name for path in (MANUAL / "en").glob("*.md"))
EXECUTED = {"yaml settings", "yaml fixtures", "text whitelist_clients", "text whitelist_recipients", "text check",
            "text explain", "yaml records", "text config-check", "text log", "text explained", "text refused"}
STORES = {"sql pgsql", "text url pgsql", "sql mysql", "text url mysql"}  # tests/stores/test_manual_stores.py runs them
NOT_EXECUTED = {"sh", "text main.cf", "text fail2ban", "text form", "yaml prometheus"} | STORES
START = 1_800_000_000
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

HEADING = re.compile(r"(#+) (.+)")
FENCE = re.compile(r"```(.*)")
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
STEP = re.compile(r"--- (\d+)([smhd])")


class Block(NamedTuple):
    kind: str
    text: str
    line: int


class Section(NamedTuple):
    level: int
    title: str
    blocks: list


def read(language, page):
    return (MANUAL / language / page).read_text()


def sections(text):
    """The page's sections, each with its blocks."""
    found = [Section(0, "", [])]
    inside = None
    for number, line in enumerate(text.splitlines(), 1):
        fence, heading = FENCE.fullmatch(line), HEADING.fullmatch(line)
        if inside is not None and line == "```":
            found[-1].blocks.append(Block(inside[0], "\n".join(inside[2]), inside[1]))
            inside = None
        elif inside is not None:
            inside[2].append(line)
        elif fence:
            inside = (fence[1], number, [])
        elif heading:
            found.append(Section(len(heading[1]), heading[2], []))
    assert inside is None, f"the block of line {inside} has no end"
    return found


def examples():
    for language, page in itertools.product(LANGUAGES, PAGES):
        path = MANUAL / language / page
        for number, section in enumerate(sections(path.read_text()) if path.exists() else ()):
            if any(block.kind in EXECUTED for block in section.blocks):
                yield pytest.param(section, id=f"{language}/{page}-{number}-{section.title}")


# --- The examples ---------------------------------------------------------------------------------

def as_pattern(text):
    text = re.sub(r"(\bid=|^id: |^at: |^host: )\S+", r"\1…", text)
    return ".*".join(re.escape(part) for part in text.split("…"))


def pairs(block):
    """Each line with the `→` lines behind it."""
    asked = []
    for line in block.text.splitlines():
        if line.startswith("→ "):
            asked[-1][1].append(line[2:])
        elif line:
            asked.append((line, []))
    assert asked, f"line {block.line}: an empty block"
    return asked


class Bench:
    """The store and settings of one section."""

    def __init__(self, folder, section, start):
        self.folder, self.start, self.server = folder, start, None
        self.settings = ""
        self.now = START
        self.has_clock = any(STEP.match(line) for block in section.blocks for line in block.text.splitlines())

    def run(self, *arguments, status=0):
        clock = {"MONGREY_TEST_CLOCK": "true"} if self.has_clock else {}
        done = run_command(self.folder, *arguments, environment=clock)
        assert done.returncode == status, f"{arguments}: {done.stderr}"
        return done

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text + "\n")
        return path

    def do(self, block):
        getattr(self, "do_" + block.kind.split()[1].replace("-", "_"))(block)

    def do_settings(self, block):
        self.settings = block.text
        self.write("server.yml", block.text)
        done = self.run("config")
        assert done.stderr == "" or all("has no meaning" in line for line in done.stderr.splitlines()), done.stderr
        for key in yaml.safe_load(block.text):
            assert re.search(rf"(?m)^{key}:", done.stdout) or f"{key} has no meaning" in done.stderr, key

    def do_fixtures(self, block):
        done = self.run("fixtures-import", "--fixtures", self.write("fixtures.yml", block.text))
        records = sum(len(kind) for kind in yaml.safe_load(block.text).values() if isinstance(kind, list))
        assert f"success[{records}] - warn[0] - error[0]" in done.stderr

    def do_whitelist_clients(self, block):
        done = self.run("import-whitelist", self.write("whitelist_clients", block.text))
        assert " 0 added" not in done.stderr

    def do_whitelist_recipients(self, block):
        done = self.run("import-whitelist", self.write("whitelist_recipients", block.text))
        assert " 0 added" not in done.stderr

    def check(self, request, *options):
        if self.has_clock:
            request = f"{request}, policy_test_time={self.now}"
            options += ("--record",)
        done = self.run("check", *options, "--request", request)
        assert done.stderr == "" or "everybody is new" in done.stderr, done.stderr
        first, *rest = done.stdout.splitlines()
        return first.partition(", mongrey_action=")[2], rest

    def do_check(self, block):
        for request, wanted in pairs(block):
            step = STEP.match(request)
            if step:
                self.now += int(step[1]) * SECONDS[step[2]]
                continue
            assert len(wanted) == 1, f"{request} has not one answer"
            action, _ = self.check(request)
            assert re.fullmatch(as_pattern(wanted[0]), action), f"{request}\n  is answered: {action}"

    def do_explain(self, block):
        request, *wanted = block.text.splitlines()
        _, lines = self.check(request, "--explain")
        for line in wanted:
            pattern = re.compile(as_pattern(line.strip()) + r"( \(\d+\.\d us\))?")
            while lines and not pattern.fullmatch(lines[0].strip()):
                lines.pop(0)
            assert lines, f"no line `{line}` of the explanation of {request}, or not in this order"

    def do_records(self, block):
        self.write("records.yml", block.text)

    def do_config_check(self, block):
        found = self.run("config-check", "--fixtures", self.folder / "records.yml", status=1).stdout
        for line in block.text.splitlines():
            assert re.search(rf"(?m)^{as_pattern(line)}$", found), found

    def do_log(self, block):
        if not self.server:
            self.server = self.start(folder=self.folder, settings=self.settings)
        for request, wanted in pairs(block):
            offset = self.server.log_size()
            attributes = dict(item.split("=", 1) for item in request.split(", "))
            with self.server.connect() as client:
                client.send(encode({"request": "smtpd_access_policy", "protocol_state": "RCPT", **attributes}))
                client.read_action()
            for line in wanted:
                self.server.wait_log(rf"(?m)^(?:\d\S+ \S+ \S+ )?{as_pattern(line)}$", offset)

    def do_explained(self, block):
        number = re.findall(rb"\bid=(\w{16})\b", self.server.log())[-1].decode()

        def lines():
            done = run_command(self.folder, "explain", number)
            return done.stdout.splitlines() if done.returncode == 0 else None

        wanted, found = block.text.splitlines(), place.wait_for(lines, f"decision {number}", 5)
        assert len(wanted) == len(found), found
        for line, pattern in zip(found, map(as_pattern, wanted)):
            assert re.fullmatch(pattern, line), line

    def do_refused(self, block):
        for written, wanted in pairs(block):
            field, _, value = written.partition(": ")
            path = self.write("refused.yml", f"version: 1\nblacklist:\n- field_name: {field}\n  value: {value}")
            done = self.run("fixtures-import", "--fixtures", path, status=1)
            assert re.search(as_pattern(wanted[0]), done.stderr.replace("\\\\", "\\")), done.stderr


@pytest.mark.parametrize("section", examples())
def test_example_does_what_the_manual_says(section, folder, start):
    bench = Bench(folder, section, start)
    for block in section.blocks:
        if block.kind in EXECUTED:
            bench.do(block)


def test_what_is_imported_counts_within_two_seconds(folder, start):
    """What lists.md promises of a server that is running."""
    server = start(folder=folder)
    request = {"client_address": "203.0.113.9", "recipient": "b@example.org"}
    assert server.ask(**request).startswith("450")
    (folder / "lists.yml").write_text("version: 1\nwhitelist:\n- value: 203.0.113.9\n")
    assert run_command(folder, "fixtures-import", "--fixtures", folder / "lists.yml").returncode == 0
    place.wait_for(lambda: server.ask(**request) == "DUNNO whitelisted [203.0.113.9]", "the new entry", 2)


def test_the_file_of_the_start_adds_changes_and_removes(folder, start):
    """What lists.md says of it."""
    kept, gone = ({"client_address": f"203.0.113.{number}", "recipient": "b@example.org"} for number in (1, 2))
    fixtures, settings = folder / "fixtures.yml", f"fixtures_path: {folder}/fixtures.yml\n"
    fixtures.write_text("version: 1\nwhitelist:\n- value: 203.0.113.1\n- value: 203.0.113.2\n")
    server = start(folder=folder, settings=settings)
    assert server.ask(**kept).startswith("DUNNO whitelisted") and server.ask(**gone).startswith("DUNNO whitelisted")
    assert server.stop() == 0
    fixtures.write_text('version: 1\nwhitelist:\n- {value: 203.0.113.1, comments: "changed"}\n')
    server = start(folder=folder, settings=settings)
    assert server.ask(**kept).startswith("DUNNO whitelisted") and server.ask(**gone).startswith("450")
    assert re.search(rb"fixtures\.yml: 0 added, 1 removed, 1 updated, 0 kept because edited here, 0 stay deleted, "
                     rb"0 were here before, 0 refused\n", server.log())


@pytest.mark.parametrize("language", LANGUAGES)
def test_fail2ban_finds_the_address(language, start):
    blocks = [block.text for section in sections(read(language, "log.md")) for block in section.blocks
              if block.kind == "text fail2ban"]
    pattern = re.search(r"(?m)^failregex = (.*)$", blocks[0])[1].replace("<HOST>", r"(?P<host>\S+)")
    server = start(MONGREY_ALLOW_HOSTS="127.0.0.9")
    client = server.connect()
    assert client.read_to_end() == b""
    client.drop()
    assert server.wait_log(pattern)["host"] == b"127.0.0.1"


# --- Both languages -------------------------------------------------------------------------------

def outline(text):
    return [section.level for section in sections(text)]


def essence(block):
    """A block without what is for people alone."""
    text = re.sub(r'comments: "[^"]*"', "comments:", block.text)
    return block.kind, [line for line in (re.sub(r"(^|\s+)# .*", "", line) for line in text.splitlines()) if line]


def test_both_languages_have_the_same_pages():
    assert sorted(path.name for path in (MANUAL / "fr").glob("*.md")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_say_the_same(page):
    english, french = read("en", page), read("fr", page)
    assert outline(english) == outline(french)
    assert ANCHOR.findall(english) == ANCHOR.findall(french)
    assert english.count("\n| ") == french.count("\n| "), "rows of tables"
    blocks = [[essence(block) for section in sections(text) for block in section.blocks]
              for text in (english, french)]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_block_is_of_a_known_kind(language, page):
    kinds = {block.kind for section in sections(read(language, page)) for block in section.blocks}
    assert kinds <= EXECUTED | NOT_EXECUTED


def slug(title):
    """The anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"<[^>]*>", "", title).lower()).replace(" ", "-")


def anchors(text):
    return set(ANCHOR.findall(text)) | {slug(section.title) for section in sections(text)}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(language, page):
    links = [link for link in LINK.findall(read(language, page)) if "://" not in link]
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        assert name == "" or (MANUAL / language / name).is_file(), link
        assert anchor == "" or anchor in anchors(read(language, name or page)), link


# --- Nothing is left out --------------------------------------------------------------------------

@pytest.mark.parametrize("language", LANGUAGES)
def test_replies_find_their_anchors(language):
    """The reply texts end in errors_url#554 and errors_url#greylisted."""
    text = (place.REPOSITORY / "core/policy/settings.def").read_text()
    wanted = set(re.findall(r"%\(url\)s#(\w+)", text))
    assert wanted == {"554", "greylisted"}
    assert wanted <= set(ANCHOR.findall(read(language, "errors.md")))


def test_every_setting_is_in_the_manual():
    text = (place.REPOSITORY / "core/policy/settings.def").read_text()
    settings = re.findall(r'^(?:SETTING|RULE)\(\w+, \w+, "\w*",\s*"(\w+)",\s*"(\w+)"', text, re.MULTILINE)
    assert len(settings) == len(re.findall(r"^(?:SETTING|RULE)\(\w+, \w+, \"", text, re.MULTILINE)) > 80
    for language, (key, variable) in itertools.product(LANGUAGES, settings):
        assert re.search(rf"(?m)^\| `(\w+\.)?{key}` \| `{variable}` \|", read(language, "settings.md")), key


CALL = re.compile(r"\b(?:verdict_set|verdict_open|reply_set)\(\s*[^,()]+(?:\([^)]*\))?,\s*OUTCOME_\w+,\s*([^,;]+?)[,)]")
PLACES = ("core/policy/*.c", "core/server/*.c", "filters/*.c")


def logged_reasons():
    """Every reason that the code gives: as a literal where a verdict is set, or by one of these ways to it."""
    found, elsewhere = set(), set()
    for path in itertools.chain.from_iterable(place.REPOSITORY.glob(glob) for glob in PLACES):
        text = path.read_text()
        for argument in CALL.findall(text):
            (found if argument.startswith('"') else elsewhere).add(argument.strip('"'))
        found |= set(re.findall(r'\bend_before\(q, "([^"]+)"', text))
        found |= set(re.findall(r'write_literal\(&reason, "([\w -]+) \("', text))
        for body in re.findall(r"(?ms)^static const char \*off_reason\(.*?^}", text):
            found |= set(re.findall(r'return "([^"]+)"', body))
        for words in re.findall(r"const char \*reason = ([^;]+);", text):
            found |= set(re.findall(r'"([^"]+)"', words))
    assert elsewhere <= {"off", "reason"}, f"reasons that are found no more: {elsewhere}"
    return found


def test_every_reason_is_in_the_manual():
    reasons = logged_reasons()
    assert {"new", "early-retry", "triplet found", "learn", "state", "blacklisted", "no-recipient"} <= reasons
    for language, reason in itertools.product(LANGUAGES, reasons):
        assert re.search(rf"(?m)^\| `{re.escape(reason)}[`( ]", read(language, "log.md")), f"{language}: {reason}"




@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_and_options_are_there(language, folder):
    """What the manual has people type is in --help."""
    known = run_command(folder, "--help").stdout
    typed = [line for page in PAGES for section in sections(read(language, page)) for block in section.blocks
             if block.kind == "sh" for line in re.findall(r"mongrey-server\b[^|;)]*", block.text)]
    assert len(typed) > 5
    for line in typed:
        words = re.sub(r'"[^"]*"|\'[^\']*\'', "TEXT", line).split()[1:]
        commands = [word for word in words if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)]
        assert not commands or re.search(rf"(?m)^  {commands[0]}\b", known), line
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", known), line
