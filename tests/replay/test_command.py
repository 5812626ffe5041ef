"""The commands, their exit statuses and messages, signals, and the life of the process."""

import contextlib
import os
import pathlib
import pwd
import re
import select
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from lib import logline, place
from lib.daemon import clean_environment, run_command
from lib.policy import Client, encode, new_address, request, unique

FINE, FAILED, WRONG_USE, BAD_CONFIGURATION = 0, 1, 2, 78
START = 1_700_000_000
PRIVATE = {"client_address": "10.0.0.1"}
PASSED = "DUNNO private address [10.0.0.1]"
GREYLISTED = "450 4.2.0 Greylisted for 20 seconds. policy[default] - " \
             "http://mongrey.readthedocs.org/en/latest/errors.html#greylisted"
SECRET = "s3cr3t-Pa55"
CLOCK = {"MONGREY_TEST_CLOCK": "true"}


@pytest.fixture
def run(folder):
    """run(arguments...) of a command that ends by itself, in a folder and on a database of this test's own."""
    def run_here(*arguments, text=None, **variables):
        return run_command(folder, *arguments, text=text, environment=variables)
    return run_here


def stranger(**given):
    attributes = {"client_address": "203.0.113.9", "sender": "alice@x.test", "recipient": "bob@t.test"}
    attributes.update(given)
    return ", ".join(f"{name}={value}" for name, value in attributes.items())


# --- check ----------------------------------------------------------------------------------------

def test_check_repeats_the_request_and_adds_the_action(run):
    done = run("check", "--request", stranger())
    assert (done.returncode, done.stdout) == (FINE, f"{stranger()}, mongrey_action={GREYLISTED}\n")


def test_check_changes_nothing(run):
    for moment in (0, 30):
        done = run("check", "--request", stranger(policy_test_time=START + moment), **CLOCK)
        assert done.stdout.endswith(f"mongrey_action={GREYLISTED}\n")


def test_check_with_record_changes_what_the_daemon_would(run):
    actions = [run("check", "--record", "--request", stranger(policy_test_time=START + moment), **CLOCK).stdout
               for moment in (0, 5, 20)]
    assert "Greylisted for 20 seconds" in actions[0]
    assert "Greylisted for 15 seconds" in actions[1]
    assert "mongrey_action=PREPEND X-Greylist: delayed 20 seconds" in actions[2]


def test_check_tells_what_the_daemon_of_the_same_store_knows(start):
    server = start()
    recipient = unique("to") + "@t.test"
    server.ask(client_address="203.0.113.9", recipient=recipient)
    done = run_command(server.folder, "check", "--request", stranger(recipient=recipient))
    left = re.search(r"Greylisted for (\d+) seconds", done.stdout)
    assert left and 1 <= int(left[1]) <= 20
    server.ask(client_address="203.0.113.9", recipient=recipient)
    place.wait_for(lambda: len(server.decisions(recipient=recipient)) == 2, "two lines")
    assert server.reasons(recipient=recipient)[1].startswith("early-retry ")


@pytest.mark.parametrize("from_input", [False, True])
def test_check_answers_each_line_of_a_file(run, folder, from_input):
    lines = [stranger(client_address="10.0.0.1"), stranger(), stranger(client_address="::1")]
    text = "\n".join(lines) + "\n"
    (folder / "requests").write_text(text)
    done = run("check", "--request-file", "-" if from_input else folder / "requests", text=text if from_input else None)
    actions = ["DUNNO private address [10.0.0.1]", GREYLISTED, "DUNNO private address [::1]"]
    assert done.returncode == FINE
    assert done.stdout == "".join(f"{line}, mongrey_action={action}\n" for line, action in zip(lines, actions))


def test_check_says_what_it_cannot_read(run, folder):
    assert run("check").returncode == WRONG_USE
    for name in ("missing", ""):  # the second is the folder itself
        done = run("check", "--request-file", folder / name)
        assert done.returncode == FAILED and str(folder / name) in done.stderr
    nonsense = run("check", "--request", "nonsense")
    assert nonsense.returncode == FAILED and "nonsense" in nonsense.stderr


def test_check_escapes_what_it_complains_of(run):
    """A line of somebody's log may come from anywhere, and the complaint goes to a terminal."""
    done = run("check", "--request", "\x1b[2Jnonsense")
    assert done.returncode == FAILED and "nonsense" in done.stderr
    assert not logline.FORBIDDEN.search(done.stderr)


# --- policy (spawn) -------------------------------------------------------------------------------

@contextlib.contextmanager
def spawned(folder, **variables):
    """mongrey-server policy, as spawn(8) starts it: the connection is its standard input and output."""
    settings = folder / "server.yml"
    if not settings.exists():  # several read it at once: it must never be half written
        settings.write_text(f"db_settings:\n  host: sqlite:///{folder}/mongrey.db\n")
    process = subprocess.Popen([str(place.SERVER), "--settings", str(settings), "policy"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                               env=dict(clean_environment(folder), **variables))
    try:
        yield process
        process.stdin.close()
        assert process.wait(10) == FINE, process.stderr.read().decode()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def say(process, **attributes):
    """One request and its answer, framed to the byte."""
    process.stdin.write(encode(request(**attributes)))
    octets = b""
    while not octets.endswith(b"\n\n"):
        part = process.stdout.read(65536)
        assert part, process.stderr.read().decode()
        octets += part
    assert octets.count(b"\n") == 2 and octets.startswith(b"action=")
    assert not select.select([process.stdout], [], [], 0)[0], "bytes after the answer"
    return octets[len(b"action="):-2].decode()


def test_policy_speaks_the_protocol_on_standard_input_and_output(folder):
    mail = {"client_address": new_address(), "recipient": unique("to") + "@t.test"}
    with spawned(folder, **CLOCK) as service:
        assert say(service, **PRIVATE) == PASSED
        assert say(service, **mail, policy_test_time=START) == GREYLISTED
        assert say(service, **mail, policy_test_time=START + 19).startswith("450 4.2.0 Greylisted for 1 seconds. ")
    with spawned(folder, **CLOCK) as service:
        assert say(service, **mail, policy_test_time=START + 20).startswith("PREPEND X-Greylist: delayed 20 seconds ")
        assert say(service, **mail, policy_test_time=START + 21) == "DUNNO policy[default]"


def test_policy_ends_when_its_peer_has_gone_mid_request(folder):
    with spawned(folder) as service:
        service.stdin.write(b"request=smtpd_acc")


def test_policy_answers_what_is_no_request_by_the_error_action(folder):
    with spawned(folder) as service:
        service.stdin.write(b"nonsense\n\n")
        assert service.stdout.read(4096) == b"action=DUNNO\n\n"
        assert service.stdout.read(4096) == b""


@pytest.mark.parametrize("round_", range(5))
def test_many_spawned_at_once_on_a_new_store_make_one_first_time(folder, round_):
    """As Postfix starts them when the first mail of a new installation comes in over several connections."""
    mail = {"client_address": new_address(), "recipient": unique("to") + "@t.test"}
    with contextlib.ExitStack() as stack:
        first, *others = [stack.enter_context(spawned(folder, **CLOCK)) for _ in range(8)]
        assert say(first, **mail, policy_test_time=START) == GREYLISTED
        for other in others:
            assert say(other, **mail, policy_test_time=START + 5).startswith("450 4.2.0 Greylisted for 15 seconds. ")


# --- config, config-install, --version, --help ----------------------------------------------------

def test_config_shows_each_setting_and_where_it_comes_from(run, folder):
    (folder / "server.yml").write_text("policy_settings:\n  greylist_remaining: 5m\n  greylist_key: high\n")
    done = run("config", MONGREY_POLICY="low", MONGREY_EXPIRE="40d")
    assert done.returncode == FINE
    line = {found[1]: found[0] for found in re.finditer(r"(?m)^ *(\w+):.*$", done.stdout)}
    assert re.search(r"(300|5m).*#.*file.*2", line["greylist_remaining"])
    assert "high" in line["greylist_key"] and "file" in line["greylist_key"], "a file goes before the environment"
    assert "environment" in line["greylist_expire"] and "MONGREY_EXPIRE" in line["greylist_expire"]
    assert re.search(r"24.*#.*default", line["greylist_ipv4_prefix"])


def test_config_can_be_read_back(run, folder):
    """What it prints is a settings file that means the same."""
    values = dict(MONGREY_REMAINING="90s", MONGREY_EXCLUDES="198.51.100.0/24,2001:db8::/32", MONGREY_POLICY="special")
    first = run("config", **values)
    assert first.returncode == FINE
    (folder / "again.yml").write_text(first.stdout)
    second = run("--settings", folder / "again.yml", "config")
    assert second.returncode == FINE, second.stderr
    assert without_comments(second.stdout) == without_comments(first.stdout)


def without_comments(text):
    return [line.split("  #")[0] for line in text.split("\n") if not line.startswith("#")]


def test_config_install_writes_a_file_that_changes_nothing(run, folder):
    target = folder / "installed.yml"
    before = run("config", MONGREY_REMAINING="90s")
    done = run("--settings", target, "config-install")
    assert done.returncode == FINE and target.exists(), done.stderr
    text = target.read_text()
    assert re.search(r"(?m)^# *greylist_remaining: ", text) and re.search(r"(?m)^#host: ", text)
    after = run("--settings", target, "config", MONGREY_REMAINING="90s")
    assert without_comments(after.stdout) == without_comments(before.stdout)
    assert "90s" in after.stdout or "90" in after.stdout, "the environment is hidden"


def test_each_line_of_the_installed_file_may_be_uncommented(run, folder):
    target = folder / "installed.yml"
    assert run("--settings", target, "config-install").returncode == FINE
    target.write_text(re.sub(r"(?m)^#((?:  )?\w+:)", r"\1", target.read_text()))
    done = run("--settings", target, "config")
    assert done.returncode == FINE, done.stderr
    assert without_comments(done.stdout) == without_comments(run("config", MONGREY_DB=sqlite_default(done)).stdout)


def sqlite_default(done):
    """The default store, as the installed file names it (run_command gives a store of its own)."""
    return re.search(r"sqlite:[^\s']+", done.stdout)[0]


def test_config_install_asks_before_it_replaces(run, folder):
    target = folder / "installed.yml"
    target.write_text("# mine\n")
    for reply in ("", "n\n"):
        assert run("--settings", target, "config-install", text=reply).returncode == FAILED
        assert target.read_text() == "# mine\n"
    assert run("--settings", target, "config-install", text="y\n").returncode == FINE
    assert target.read_text() != "# mine\n"


def test_config_install_quiet_replaces(run, folder):
    target = folder / "installed.yml"
    target.write_text("# mine\n")
    assert run("--settings", target, "--quiet", "config-install").returncode == FINE
    assert target.read_text() != "# mine\n"


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_version(run, option):
    done = run(option)
    assert done.returncode == FINE and re.match(r"mongrey-(server )?\d+\.\d+", done.stdout)
    assert "sqlite" in done.stdout


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_commands_and_options(run, option):
    done = run(option)
    assert done.returncode == FINE
    for word in ("start", "check", "policy", "config", "config-install", "--settings", "--pid", "--daemon", "--user"):
        assert word in done.stdout


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["--no-such-option", "config"], ["config", "too-much"],
                                       ["--settings"], ["check", "--request"]])
def test_wrong_use_says_so(run, arguments):
    done = run(*arguments)
    assert done.returncode == WRONG_USE and done.stderr and not done.stdout


# --- bad configuration ----------------------------------------------------------------------------

BAD_FILES = {
    "unknown key":
        ("# first\npolicy_settings:\n  greylist_remainig: 5\n", 3, "greylist_remainig", "greylist_remaining"),
    "unknown group": ("policy_setings:\n  greylist_key: med\n", 1, "policy_setings", ""),
    "key of another group": ("greylist_key: med\n", 1, "greylist_key", "policy_settings"),
    "no number": ("port: many\n", 1, "port", "many"),
    "number out of range": ("\nport: 65536\n", 2, "port", "65535"),
    "prefix out of range": ("policy_settings:\n  greylist_ipv4_prefix: 33\n", 2, "greylist_ipv4_prefix", "32"),
    "no duration": ("policy_settings:\n  greylist_expire: five weeks\n", 2, "greylist_expire", "five weeks"),
    "none of the words": ("policy_settings:\n  greylist_key: medium\n", 2, "greylist_key", "vlow"),
    "no network": ("allow_hosts: [127.0.0.1, 10.0.0.0/33]\n", 1, "allow_hosts", "10.0.0.0/33"),
    "a list where a value is due": ("port: [1, 2]\n", 1, "port", ""),
    "a value where a group is due": ("policy_settings: 5\n", 1, "policy_settings", ""),
    "an action that lets all mail in": ("error_action: OK\n", 1, "error_action", "OK"),
    "not YAML": ("port: 1\nhost: [unclosed\n", None, "", ""),
    "no mapping": ("- port\n", 1, "", ""),
}


@pytest.mark.parametrize("command", ["start", "config"])
@pytest.mark.parametrize("text, line, key, hint", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file_is_named_with_line_key_and_what_was_meant(run, folder, text, line, key, hint, command):
    bad = folder / "bad.yml"
    bad.write_text(text)
    done = run("--settings", bad, command)
    assert done.returncode == BAD_CONFIGURATION, done
    assert f"{bad}:{line if line else ''}" in done.stderr
    assert key in done.stderr and hint in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1, "one line that says it all"


@pytest.mark.parametrize("variables, hints", [
    ({"MONGREY_POLICY": "medium"}, ["MONGREY_POLICY", "vlow"]),
    ({"MONGREY_REMAINING": "-5"}, ["MONGREY_REMAINING"]),
    ({"MONGREY_GREYLIST_IPV6_PREFIX": "129"}, ["MONGREY_GREYLIST_IPV6_PREFIX", "128"]),
    ({"MONGREY_HOST": "not an address"}, ["MONGREY_HOST"]),
    ({"MONGREY_TEST_CLOCK": "perhaps"}, ["MONGREY_TEST_CLOCK"]),
    ({"MONGREY_DB": "mongrey.db"}, ["MONGREY_DB"]),
    ({"MONGREY_DB": "oracle://host/db"}, ["oracle"]),
    ({"MONGREY_GREYLIST_WINDOW": "10s"}, ["MONGREY_GREYLIST_WINDOW", "greylist_remaining"]),
])
def test_bad_variable_is_named(run, variables, hints):
    done = run("start", **variables)
    assert done.returncode == BAD_CONFIGURATION
    assert all(hint in done.stderr for hint in hints), done.stderr


def test_missing_settings_file_is_an_error_where_it_was_named(run, folder):
    done = run("--settings", folder / "missing.yml", "start")
    assert done.returncode == BAD_CONFIGURATION and "missing.yml" in done.stderr


def test_misspelt_variable_is_pointed_out(run):
    done = run("config", MONGREY_REMAINIG="5")
    assert done.returncode == FINE
    assert "MONGREY_REMAINIG" in done.stderr and "MONGREY_REMAINING" in done.stderr


def test_store_that_cannot_be_opened_is_named(run, folder):
    done = run("start", MONGREY_DB=f"sqlite:///{folder}/no/such/folder/mongrey.db", MONGREY_PORT=place.free_port())
    assert done.returncode in (FAILED, BAD_CONFIGURATION)
    assert "no/such/folder" in done.stderr


def test_file_that_is_no_database_is_left_alone(run, folder):
    precious = folder / "letter"
    precious.write_text("Dear Sir, " * 500)
    done = run("start", MONGREY_DB=f"sqlite:///{precious}", MONGREY_PORT=place.free_port())
    assert done.returncode in (FAILED, BAD_CONFIGURATION) and "letter" in done.stderr
    assert precious.read_text() == "Dear Sir, " * 500


def test_port_of_a_container_link_is_ignored_with_a_warning(start):
    """Docker links and Kubernetes set MONGREY_PORT for a service of that name."""
    port = place.free_port()
    server = start(MONGREY_HOST=f"127.0.0.1:{port}", MONGREY_PORT="tcp://10.0.0.1:9999")
    assert server.address[1] == port and server.ask(**PRIVATE) == PASSED
    server.wait_log(r"MONGREY_PORT.*ignored")


# --- secrets --------------------------------------------------------------------------------------

URLS = [f"postgresql://mongrey:{SECRET}@127.0.0.1:1/db", f"mysql://mongrey:{SECRET}@[::1]/db?ssl=no",
        f"oracle://u:{SECRET}@host/db", f"postgresql://u:{SECRET}@host:port/db", f"postgresql://u:{SECRET}@[::1/db",
        f"sqlite:///nowhere/at/all.db?password={SECRET}", f"postgresql://host/db?password={SECRET}"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("command", [["config"], ["-D", "config"], ["check", "--request", stranger()]])
def test_no_message_shows_a_password(run, command, url):
    done = run(*command, MONGREY_DB=url)
    assert done.stdout or done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("line", ["host: postgresql://u:{0}@[::1/db", "hosts: postgresql://u:{0}@h/db",
                                  "host: [postgresql://u:{0}@h/db]", "host: {{a: postgresql://u:{0}@h/db}}"])
def test_no_complaint_about_a_file_shows_a_password(run, folder, line):
    (folder / "bad.yml").write_text("db_settings:\n  " + line.format(SECRET) + "\n")
    done = run("--settings", folder / "bad.yml", "config")
    assert done.returncode == BAD_CONFIGURATION and "bad.yml:2" in done.stderr
    assert SECRET not in done.stderr


def test_config_still_tells_the_rest_of_the_url(run):
    done = run("config", MONGREY_DB=URLS[0])
    assert re.search(r"postgresql://mongrey:[^@]*@127\.0\.0\.1:1/db", done.stdout)


# --- signals --------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_status_0_though_connections_are_open(start, number):
    server = start()
    idle, begun = server.connect(), server.connect()
    assert idle.ask(**PRIVATE) == PASSED
    begun.send(b"request=smtpd_access")
    began = time.monotonic()
    assert server.stop(number) == FINE
    assert time.monotonic() - began < 5
    assert idle.read_to_end() == b""
    idle.drop()
    begun.drop()


def test_requests_under_way_are_answered_before_it_ends(start):
    """Every request that had reached the daemon when the signal came is answered, or its connection closed without a
    part of an answer; the ones that were answered are on the disk."""
    server = start(**CLOCK)
    mails = [{"client_address": new_address(), "recipient": unique("to") + "@t.test"} for _ in range(40)]
    peers = [server.connect() for _ in mails]
    for peer in peers:
        peer.ask(**PRIVATE)
    for peer, mail in zip(peers, mails):
        peer.send(encode(request(**mail, policy_test_time=START)))
    assert server.stop() == FINE
    answers = [peer.read_to_end() for peer in peers]
    for peer in peers:
        peer.drop()
    told = [mail for mail, answer in zip(mails, answers) if answer]
    assert {answer for answer in answers if answer} <= {f"action={GREYLISTED}\n\n".encode()}
    server.start()
    for mail in told:
        assert "Greylisted for 15 seconds" in server.ask(**mail, policy_test_time=START + 5)


def test_hangup_reloads_without_dropping_a_connection(start):
    server = start(settings="policy_settings:\n  greylist_remaining: 20\n")
    with server.connect() as peer:
        assert peer.ask(client_address=new_address()) == GREYLISTED
        server.settings.write_text("policy_settings:\n  greylist_remaining: 50\n")
        server.send_signal(signal.SIGHUP)
        place.wait_for(lambda: "for 50 seconds" in peer.ask(client_address=new_address()), "the new delay")


def test_hangup_with_bad_settings_keeps_the_old_ones(start):
    server = start(settings="policy_settings:\n  greylist_remaining: 50\n")
    server.settings.write_text("policy_settings:\n  greylist_remaining: 10\n  greylist_kye: low\n")
    server.send_signal(signal.SIGHUP)
    server.wait_log(r"server\.yml:3: .*greylist_kye")
    assert "for 50 seconds" in server.ask(client_address=new_address())


def test_many_hangups_under_load_disturb_nobody(start):
    server = start()
    with server.connect() as peer:
        for turn in range(300):
            if turn % 10 == 0:
                server.send_signal(signal.SIGHUP)
            assert peer.ask(client_address=new_address()) == GREYLISTED


def test_usr1_logs_counters(start):
    server = start()
    for _ in range(37):
        server.ask(**PRIVATE)
    before = server.log_size()
    server.send_signal(signal.SIGUSR1)
    server.wait_log(r"requests\D{1,3}37\b", offset=before)


# --- the process ----------------------------------------------------------------------------------

def test_pid_file(start, folder):
    path = folder / "mongrey.pid"
    server = start(arguments=["--pid", path])
    assert path.read_text().strip() == str(server.pid)
    server.stop()
    assert not path.exists()


def test_pid_file_left_by_a_killed_daemon_is_no_hindrance(start, folder):
    path = folder / "mongrey.pid"
    server = start(arguments=["--pid", path])
    server.kill()
    server.start()
    assert path.read_text().strip() == str(server.pid)


def test_daemon_detaches_when_it_listens(run, folder):
    """Its starter has the status in hand: 0 means that mail may come, with no wait in between."""
    port, path = place.free_port(), folder / "mongrey.pid"
    done = run("--daemon", "--pid", path, "--syslog", "start", MONGREY_HOST=f"127.0.0.1:{port}")
    assert done.returncode == FINE, done.stderr
    pid = int(path.read_text())
    try:
        with Client(("127.0.0.1", port)) as peer:
            assert peer.ask(**PRIVATE) == PASSED
        assert os.getsid(pid) != os.getsid(0), "still in its starter's session"
    finally:
        os.kill(pid, signal.SIGTERM)
        place.wait_for(lambda: has_ended(pid), "the daemon's end")


def has_ended(pid):
    """Gone, or a zombie that a container's init does not reap."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_daemon_that_cannot_start_says_so_to_its_starter(run):
    with socket.create_server(("127.0.0.1", 0)) as in_the_way:
        port = in_the_way.getsockname()[1]
        done = run("--daemon", "start", MONGREY_HOST=f"127.0.0.1:{port}")
    assert done.returncode == FAILED and str(port) in done.stderr


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder_of_nobody():
    made = place.new_folder(owner="nobody")
    yield made
    place.remove_folder(made)


@needs_root
def test_user_is_taken_after_binding(start, folder_of_nobody):
    """A port below 1024 shows the order: nobody could not bind it."""
    account = pwd.getpwnam("nobody")
    server = start(arguments=["--user", "nobody"], folder=folder_of_nobody, MONGREY_HOST="127.0.0.1:877")
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    assert re.search(rf"(?m)^Uid:(\s+{account.pw_uid}){{4}}$", status)
    assert re.search(rf"(?m)^Gid:(\s+{account.pw_gid}){{4}}$", status)
    assert not re.search(r"(?m)^Groups:.*\b0\b", status)
    assert server.ask(client_address=new_address()) == GREYLISTED
    assert server.database.stat().st_uid == account.pw_uid


@needs_root
def test_unknown_user_is_an_error(run):
    done = run("--user", "no-such-user", "start", MONGREY_PORT=place.free_port())
    assert done.returncode != FINE and "no-such-user" in done.stderr


def test_descriptors_are_not_inherited_by_chance(start):
    """Standard streams, listener, database and what the loop needs: a leak at the start would show here."""
    assert start().descriptors() < 40


def test_what_another_process_leaves_behind_takes_nothing_away(start, folder):
    """SQLite's last user removes the write-ahead log. A daemon that had lost its locks, by closing a descriptor
    of the store that is not SQLite's, would not be seen, and would write on into a file without a name."""
    server = start()
    for number in range(3):
        server.ask(client_address=f"203.0.{number}.9")
        time.sleep(0.8)  # for the sessions that the daemon opens when it needs them
    other = ["policy", "--console"]
    variables = {"MONGREY_DB": f"sqlite:///{server.database}"}
    for number in range(3, 6):
        asked = encode(request(client_address=f"203.0.{number}.9")).decode()
        assert "Greylisted" in run_command(folder, *other, text=asked, environment=variables).stdout
        server.ask(client_address=f"203.0.{number + 100}.9")
    server.kill()
    with contextlib.closing(sqlite3.connect(server.database)) as store:
        kept = {row[0] for row in store.execute("select client_address from greylist_entry")}
    assert kept == {f"203.0.{number}.9" for number in (0, 1, 2, 3, 4, 5, 103, 104, 105)}


def test_a_store_that_is_a_dangling_link_or_no_file_is_bad_configuration(folder):
    (folder / "link.db").symlink_to(folder / "data" / "real.db")
    os.mkfifo(folder / "fifo.db")
    for name, words in [("link.db", "is a link to a file that is not there"), ("fifo.db", "is no regular file")]:
        done = run_command(folder, "start", environment={"MONGREY_DB": f"sqlite:///{folder}/{name}"})
        assert done.returncode == BAD_CONFIGURATION and words in done.stderr


def test_a_file_that_may_not_grow_is_the_stores_trouble(start):
    server = start(wrapper=["prlimit", "--fsize=300000"], MONGREY_LOG_FORMAT="text")
    with server.connect() as peer:
        answers = peer.ask_all([{"client_address": f"11.{n // 250}.{n % 250}.1"} for n in range(3000)])
    assert len(answers) == 3000 and set(answers) <= {GREYLISTED, "DUNNO"} and "DUNNO" in answers
    assert server.ask(**PRIVATE) == PASSED
