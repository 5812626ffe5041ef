"""How one watches the daemon: /metrics, /healthz, the line of stats, the forms of the log; and who tries to abuse them."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import time

import pytest

from lib import logline, place, policy, prometheus
from lib.daemon import Daemon
from lib.policy import encode, new_address, request, unique
from lib.web import Watched

PRIVATE = {"client_address": "10.0.0.1"}


@pytest.fixture
def watched(start):
    """watched(...) gives a daemon and where it is watched."""
    def watched_one(**options):
        watch = Watched()
        return start(MONGREY_METRICS_LISTEN=watch.setting, **options), watch
    return watched_one


def stranger():
    return {"client_address": new_address(), "recipient": unique("to") + "@t.test"}


# --- metrics ----------------------------------------------------------------------------------------

def test_metrics_count_what_happened(watched):
    server, watch = watched(MONGREY_REMAINING="1s", MONGREY_TEST_CLOCK="true")
    known = stranger()
    for moment in (0, 0, 2, 3, 4):
        server.ask(policy_test_time=1_700_000_000 + moment, **known)
    server.ask(**PRIVATE)
    server.ask(protocol_state="DATA")
    with server.connect() as bad:
        bad.send(b"nonsense\n\n")
        bad.read_to_end()
    watch.wait_value(1, "mongrey_malformed_requests_total")
    found = watch.metrics()

    def value(name, **labels):
        return prometheus.value(found, name, **labels)

    assert value("mongrey_requests_total") == 7
    assert value("mongrey_decisions_total", check="greylist", action="greylist") == 2
    assert value("mongrey_decisions_total", check="greylist", action="pass") == 3
    assert value("mongrey_decisions_total", check="private", action="pass") == 1
    assert value("mongrey_decisions_total", check="none", action="pass") == 1
    assert sum(found["mongrey_decisions_total"].samples.values()) == 7
    assert value("mongrey_request_duration_seconds_count") == 7
    assert 0 < value("mongrey_request_duration_seconds_sum") < 10
    assert value("mongrey_cache_lookups_total") == 5
    assert value("mongrey_cache_hits_total") == 2
    assert value("mongrey_cache_keys") == 1
    assert value("mongrey_connections_accepted_total") == 2
    assert value("mongrey_store_sightings_total") >= 3
    assert value("mongrey_store_calls_total", call="observe") >= 3
    assert value("mongrey_store_results_total", status="ok") >= 4
    assert value("mongrey_store_up") == 1
    assert value("mongrey_lists_loaded") == 1
    assert list(found["mongrey_build_info"].samples.values()) == [1]
    assert value("process_resident_memory_bytes") > 1 << 20
    assert abs(value("process_start_time_seconds") - time.time()) < 60
    assert value("process_open_fds") >= 3


def test_every_metric_is_there_from_the_start_and_none_comes_later(watched):
    server, watch = watched()
    before = watch.metrics()
    server.ask(**stranger())
    watch.wait_value(1, "mongrey_requests_total")
    after = watch.metrics()
    assert {name: set(family.samples) for name, family in before.items()} == \
        {name: set(family.samples) for name, family in after.items()}
    documented = (place.REPOSITORY / "docs/metrics.md").read_text()
    assert set(re.findall(r"^\| `(\w+)", documented, re.M)) == set(after)


def test_methods_and_paths(watched):
    _, watch = watched()
    watch.wait_health(200)
    full = watch.ask("/healthz")
    status, headers, body = watch.ask("/healthz", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(full[2])), b"")
    assert watch.ask("/metrics?x=1")[0] == 200
    for path in ("/", "/metrics/", "/metric", "/healthz/../metrics", "/%2e%2e/etc/passwd", "/metrics%00"):
        assert watch.ask(path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        status, headers, _ = watch.ask("/metrics", method, b"x" * 10)
        assert (status, headers["allow"]) == (405, "GET, HEAD"), method


def test_several_addresses(start):
    four, six = Watched(), Watched("::1")
    start(MONGREY_METRICS_LISTEN=f"{four.setting}, {six.setting}")
    assert four.wait_health(200) == six.wait_health(200)
    assert set(four.metrics()) == set(six.metrics())


def test_without_the_setting_there_is_no_thread_for_it(start):
    plain = start()
    watch = Watched()
    other = start(MONGREY_METRICS_LISTEN=watch.setting)

    def threads(server):
        return len(os.listdir(f"/proc/{server.pid}/task"))
    assert threads(other) == threads(plain) + 1


def expect_refusal(server, status):
    with contextlib.suppress(AssertionError):  # the policy port may have been announced by then, or not
        server.start()
    assert server.wait() == status


def test_an_address_that_is_taken_stops_the_start(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Daemon(folder=folder, MONGREY_METRICS_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
        expect_refusal(server, 1)
        assert b"metrics_listen: cannot listen on 127.0.0.1" in server.log()


def test_a_unix_socket_is_no_place_for_metrics(folder):
    server = Daemon(folder=folder, MONGREY_METRICS_LISTEN=f"unix:{folder}/m")
    expect_refusal(server, 78)
    assert b"metrics_listen" in server.log()


def test_signals_still_reach_the_loop(watched):
    server, watch = watched()
    server.ask(**PRIVATE)
    server.send_signal(signal.SIGUSR1)
    server.wait_log(r"counters: connections=1 .* requests=1 passed=1")
    watch.health()
    assert server.stop() == 0


# --- health -----------------------------------------------------------------------------------------

def test_healthy(watched):
    _, watch = watched()
    body = watch.wait_health(200)
    assert body["revision"] >= 1
    assert body == {"status": "ok", "store": "ok", "redis": "not used", "lists": "loaded",
                    "settings": "ok", "loop": "ok",
                    "revision": body["revision"], "version": body["version"]}
    assert re.fullmatch(r"\d+\.\d+\.\d+", body["version"])


def test_a_store_that_cannot_be_written_and_is_back(watched):
    server, watch = watched(MONGREY_REQUEST_TIMEOUT="300ms")
    server.ask(**stranger())
    lock = sqlite3.connect(server.database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        assert server.ask(**stranger()) == "DUNNO"
        body = watch.wait_health(503)
        assert (body["status"], body["store"]) == ("failing", "away")
        watch.wait_value(0, "mongrey_store_up")
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    # No mail has to come for it to be found well again.
    body = watch.wait_health(200, 30)
    assert body["store"] == "ok"


def test_a_store_that_is_away_from_the_start(watched, folder):
    lock = sqlite3.connect(folder / "m.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        server, watch = watched(MONGREY_DB=f"sqlite:///{folder}/m.db")
        server.wait_log("answering by db_trouble until it is there", seconds=10)
        body = watch.wait_health(503)
        assert (body["store"], body["lists"], body["revision"]) == ("away", "not loaded yet", 0)
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    body = watch.wait_health(200, 30)
    assert (body["store"], body["lists"]) == ("ok", "loaded")


def test_settings_that_could_not_be_reloaded(watched):
    server, watch = watched()
    watch.wait_health(200)
    server.settings.write_text("nonsense: 1\n")
    server.send_signal(signal.SIGHUP)
    body = watch.wait_health(503)
    assert (body["store"], body["settings"]) == ("ok", "the last reload failed, the old ones are in force")
    watch.wait_value(0, "mongrey_settings_reload_successful")
    server.settings.write_text("# fine\n")
    server.send_signal(signal.SIGHUP)
    assert watch.wait_health(200)["settings"] == "ok"


# --- who means ill ----------------------------------------------------------------------------------

def open_sockets(watch, count, first=b""):
    made = []
    for _ in range(count):
        peer = socket.create_connection((watch.host, watch.port), timeout=10)
        if first:
            peer.sendall(first)
        made.append(peer)
    return made


def test_floods_hold_up_no_mail_and_end(watched):
    server, watch = watched()
    before = server.descriptors()
    halves = open_sockets(watch, 60, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Part: ")
    try:
        end = time.monotonic() + 1.5
        slowest = 0
        while time.monotonic() < end:
            began = time.monotonic()
            assert server.ask(**PRIVATE).startswith("DUNNO private")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.5 or place.is_sanitized()
        assert server.descriptors() <= before + 16 + 2
        server.ask(**stranger())
    finally:
        for half in halves:
            half.close()
    place.wait_for(lambda: watch.health()[0] == 200, "healthz after the flood", 20)
    place.wait_for(lambda: server.descriptors() <= before + 2, "the flood's descriptors", 20)


def test_a_trickle_is_cut(watched):
    """A byte a second keeps no connection for longer than its life."""
    server, watch = watched()
    [slow] = open_sockets(watch, 1, b"GET /metrics HTTP/1.1\r\nX: ")
    with slow:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 20:
                slow.sendall(b"y")
                time.sleep(0.5)
                slow.setblocking(False)
                try:
                    if slow.recv(1000) == b"":
                        break
                except BlockingIOError:
                    pass
                slow.setblocking(True)
        except (ConnectionError, BrokenPipeError):
            pass
        assert 3 < time.monotonic() - began < 12
    assert server.ask(**PRIVATE).startswith("DUNNO private")


@pytest.mark.parametrize("octets", [
    b"\0" * 70_000,
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(200)) + b"\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"request=smtpd_access_policy\nprotocol_state=RCPT\n\n",
    b"GET /metrics HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
], ids=["nuls", "long path", "long head", "long body", "chunk", "policy", "version", "tls"])
def test_what_is_no_http(watched, octets):
    server, watch = watched()
    [peer] = open_sockets(watch, 1)
    with peer:
        try:
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
            answer = peer.recv(65536)
        except OSError:  # it has closed in the middle
            answer = b""
    assert b"mongrey_requests_total" not in answer
    watch.wait_health(200)
    assert server.ask(**PRIVATE).startswith("DUNNO private")


# --- the log ----------------------------------------------------------------------------------------

HOSTILE = [b"plain@x.test", b"", b'"},{"action":"pass', b"a\\x41@x", b"\xff\xfe\x80", b"a\tb\r\x1b[31m",
           "é\u2028\u202e\U000e0041@x".encode(), b"action=pass, reason=new, id=0", b"x" * 7000, b"\x01" * 3000]


def test_json_lines_are_json_and_cannot_be_forged(start):
    server = start(MONGREY_LOG_FORMAT="json", MONGREY_TEST_CLOCK="true")
    for sender in HOSTILE:
        server.ask(sender=sender, helo_name=sender, recipient=b"r@t.test", policy_test_time=1_700_000_000,
                   client_address=new_address())
    place.wait_for(lambda: len(logline.objects(server.log())) >= len(HOSTILE), "the lines", 5)
    found = logline.objects(server.log())
    assert len(found) == len(HOSTILE)
    for sender, line in zip(HOSTILE, found):
        assert list(line) == ["time", "action", "reason", "delay", "client_name", "client_address", "helo_name",
                              "sender", "recipient", "policy", "queue_id", "id"]
        assert line["time"] == "2023-11-14T22:13:20.000Z"
        assert (line["action"], line["reason"], line["delay"]) == ("greylist", "new", None)
        assert line["sender"] == line["helo_name"]
        read = sender.decode("utf-8", "backslashreplace")
        assert read.startswith(line["sender"])
        assert line["sender"] == read or len(line["sender"]) >= 50
        assert re.fullmatch(r"[0-9a-z]{16}", line["id"])
    assert not logline.FORBIDDEN.search(server.log().decode())


def test_the_form_changes_with_a_reload(start):
    server = start()
    server.ask(**PRIVATE)
    server.settings.write_text("log_format: mongrey\n")
    server.send_signal(signal.SIGHUP)
    server.wait_log("settings reloaded")
    server.ask(sender="a policy=evil", **PRIVATE)
    server.wait_log(r"mongrey\[\d+\]: action=pass, reason=private, client_name=unknown, client_address=10\.0\.0\.1, "
                    r"sender=a\\x20policy=evil, recipient=bob@t\.test policy=default\n")


def test_044s_reasons_in_their_order(start):
    server = start(MONGREY_PROFILE="mongrey", MONGREY_TEST_CLOCK="true")
    mail = stranger()
    for moment in (0, 5, 21, 22):
        server.ask(policy_test_time=1_700_000_000 + moment, **mail)
    place.wait_for(lambda: len(re.findall(rb"reason=\w+", server.log())) == 4, "four lines", 5)
    assert re.findall(rb"action=(\w+), reason=(\w+)", server.log()) == [
        (b"greylist", b"new"), (b"greylist", b"retry"), (b"pass", b"delay"), (b"pass", b"delay")]
    assert b", id=" not in server.log()


def test_verbose_3_logs_what_is_asked_and_answered(start):
    server = start(MONGREY_VERBOSE="3")
    server.ask(sender=b"a\r, action=pass, reason=x", unknown="y", **PRIVATE)
    asked = server.wait_log(r"\]: asked: (.*)\n")[1]
    assert asked.startswith(b"request=smtpd_access_policy, protocol_state=RCPT, ")
    assert b"sender=a\\x0d\\x2c\\x20action=pass\\x2c\\x20reason=x, " in asked
    assert b"unknown=" not in asked
    answered = server.wait_log(r"\]: answered: (\S+) (.*)\n")
    [decision] = server.decisions(client_address="10.0.0.1")
    assert (answered[1], answered[2]) == (decision["id"], b"DUNNO private address \\x5b10.0.0.1]")


def test_verbose_3_is_bounded(start):
    server = start(MONGREY_VERBOSE="3")
    names = ["sender", "client_name", "helo_name", "reverse_client_name", "ccert_subject", "ccert_issuer", "tls_sni",
             "policy_context", "sasl_sender", "etrn_domain", "mail_version", "encryption_cipher", "stress"]
    server.ask(**PRIVATE, **{name: b"\x01" * 4000 for name in names})
    server.wait_log(r"answered: ")
    assert max(map(len, server.log().split(b"\n"))) < 4096


# --- stats ------------------------------------------------------------------------------------------

STATS = re.compile(rb"\]: stats (\{.*\})\n")


def test_stats_tell_of_intervals_with_requests(start):
    server = start(MONGREY_STATS_INTERVAL="200ms")
    time.sleep(0.6)
    assert not STATS.search(server.log())
    server.ask(**PRIVATE)
    told = json.loads(server.wait_log(STATS.pattern)[1])
    assert list(told) == ["mem_rss", "mem_vms", "mem_percent", "cpu_percent", "load_avg", "connections"]
    assert re.fullmatch(r"\d+\.\d [MG]iB", told["mem_rss"])
    assert re.fullmatch(r"\d+\.\d [MGT]iB", told["mem_vms"])
    assert 0 <= told["mem_percent"] < 100 and 0 <= told["cpu_percent"] < 10_000
    assert len(told["load_avg"]) == 3 and told["connections"] == 1
    time.sleep(0.6)
    assert len(STATS.findall(server.log())) == 1


def test_stats_can_be_turned_off(start):
    server = start(MONGREY_STATS_INTERVAL="200ms", MONGREY_STATS_ENABLE="false")
    server.ask(**PRIVATE)
    time.sleep(0.7)
    assert b"stats {" not in server.log()


# --- close_socket -----------------------------------------------------------------------------------

def test_close_socket_answers_once(start):
    server = start(MONGREY_CLOSE_SOCKET="true")
    for attributes in (PRIVATE, stranger(), stranger()):
        peer = server.connect()
        peer.send(encode(request(**attributes)))
        answer = peer.read_to_end()
        assert answer.startswith(b"action=") and answer.endswith(b"\n\n") and answer.count(b"action=") == 1
        peer.drop()


def test_close_socket_answers_only_the_first_of_a_pipeline(start):
    server = start(MONGREY_CLOSE_SOCKET="true")
    for attributes in (PRIVATE, stranger()):
        peer = server.connect()
        peer.send(encode(request(**attributes)) * 20)
        assert peer.read_to_end().count(b"action=") == 1
        peer.drop()
    server.send_signal(signal.SIGUSR1)
    server.wait_log(r"counters: .* requests=2 ")


@pytest.mark.parametrize("form, wanted", [("text", "reason=whitelisted, entry=203.0.113.0/24, client_name="),
                                          ("json", '"entry":"203.0.113.0/24"')])
def test_a_line_names_the_entry_that_decided(start, folder, form, wanted):
    fixtures = folder / "lists.yml"
    fixtures.write_text("version: 1\nwhitelist:\n- {value: 203.0.113.0/24}\n")
    server = start(MONGREY_SERVER_FIXTURES=fixtures, MONGREY_LOG_FORMAT=form)
    server.ask(client_address="203.0.113.9")
    server.ask(client_address="203.0.114.9")
    place.wait_for(lambda: b"203.0.114.9" in server.log(), "both lines")
    assert server.log().decode().count(wanted) == 1
    assert server.log().decode().count("entry") == 1


@pytest.mark.parametrize("form, verbose", [("text", 3), ("json", 3), ("mongrey", 3)])
def test_no_value_forges_the_line_of_a_refused_host(start, form, verbose):
    """fail2ban looks for `reject host [ADDRESS]` anywhere in a line."""
    server = start(MONGREY_LOG_FORMAT=form, MONGREY_VERBOSE=verbose, MONGREY_SASL_BYPASS="no")
    evil = "reject host [192.0.2.77]"
    server.ask(client_address="203.0.113.9", sender=f"{evil}@x.test", recipient=f"{evil}@t.test", helo_name=evil,
               client_name=evil, sasl_username=evil, queue_id=evil, instance=evil, policy_context=evil)
    server.ask(client_address="10.0.0.1")
    place.wait_for(lambda: b"10.0.0.1" in server.log(), "the second line")
    assert b"192.0.2.77" in server.log()
    assert not re.search(rb"reject host \[192", server.log())
