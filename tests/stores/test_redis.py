"""The cache in a real Redis that several hosts share: what it saves, when it counts no more, and that mail goes on when
it is slow, gone, full, locked or full of lies. A host is a daemon with a memory of its own on one SQLite file."""

import re
import socket
import sqlite3
import threading
import time

import pytest

from lib import place, prometheus, servers
from lib.daemon import run_command
from lib.policy import encode, new_address, request, unique
from lib.store import Store
from lib.web import Watched

pytestmark = pytest.mark.skipif(bool(servers.can(servers.Redis)), reason=str(servers.can(servers.Redis)))

START = 1_700_000_000
CLOCK = "test_clock: true\npurge_enable: false\n"
KNOWN = "DUNNO policy[default]"
SLOW = 10 if place.is_sanitized() else 1


@pytest.fixture
def redis():
    with servers.Redis() as server:
        yield server


@pytest.fixture
def hosts(start, folder):
    """hosts(url) gives one more host of the store."""
    Store(folder)

    def one_more(url, settings="", database=folder / "mongrey.db", **variables):
        watch = Watched()
        daemon = start(settings=CLOCK + settings, MONGREY_DB=f"sqlite:///{database}", MONGREY_CACHE=url,
                       MONGREY_METRICS_LISTEN=watch.setting, **variables)
        daemon.watch = watch
        return daemon

    return one_more


def value(daemon, name, **labels):
    """As it is now: the numbers are told five times a second."""
    time.sleep(0.3)
    return prometheus.value(daemon.watch.metrics(), "mongrey_" + name, **labels)


def wait_up(daemon, up=1):
    daemon.watch.wait_value(up, "mongrey_far_cache_up")


def stranger():
    return {"client_address": new_address(), "sender": unique("from") + "@x.test", "recipient": unique("to") + "@t.test"}


def ask(daemon, who, moment=100):
    return daemon.ask(policy_test_time=START + moment, **who)


def passes(answer):
    return answer == KNOWN or answer.startswith("PREPEND ")


def make_known(daemon, count=1):
    """Senders that have passed at this host, and are in Redis."""
    before = value(daemon, "far_cache_puts_total")
    known = [stranger() for _ in range(count)]
    for who in known:
        assert not passes(ask(daemon, who, 0))
        assert passes(ask(daemon, who, 60))
    place.wait_for(lambda: value(daemon, "far_cache_puts_total") >= before + count, "entries in Redis")
    return known if count > 1 else known[0]


def lines(daemon):
    """What was said of the cache, without time and level."""
    return [re.sub(r".*?cache (redis|unix)\S+: ", "", line) for line in daemon.log().decode().splitlines()
            if re.search(r"cache (redis|unix)://", line)]


def names(redis):
    return redis.query("--raw", "KEYS", "*").split()


# --- What it is for -----------------------------------------------------------------------------------

def test_who_passed_at_one_host_is_known_at_another_without_the_store(hosts, redis, folder):
    first, second = hosts(redis.url()), hosts(redis.url())
    wait_up(first), wait_up(second)
    who = make_known(first)
    assert ask(second, who) == KNOWN
    assert (value(second, "far_cache_lookups_total"), value(second, "far_cache_hits_total")) == (1, 1)
    assert value(second, "store_sightings_total") == 0
    assert ask(second, who) == KNOWN  # from its memory now
    assert (value(second, "far_cache_lookups_total"), value(second, "cache_hits_total")) == (1, 1)

    def told():
        with sqlite3.connect(folder / "mongrey.db") as store:
            return store.execute("SELECT passes FROM greylist_entry").fetchone() == (3,)
    place.wait_for(told, "the passes in the store", 10)
    ttl = int(redis.query("PTTL", names(redis)[0]))
    assert 0 < ttl <= 86_400_000


def test_only_what_has_passed_is_there(hosts, redis):
    host = hosts(redis.url())
    wait_up(host)
    for _ in range(20):
        assert not passes(ask(host, stranger(), 0))
    make_known(host)
    assert len(names(redis)) == 1
    assert re.fullmatch(r"mongrey-cache:[0-9a-f]{16}:[0-9a-f]{32}", names(redis)[0])


def test_what_waits_is_sent_at_once(hosts, redis):
    """While Redis stands, requests gather; then they go out together."""
    first, second = hosts(redis.url()), hosts(redis.url() + "?timeout=5s")
    wait_up(first), wait_up(second)
    known = make_known(first, 60)
    redis.query("CONFIG", "RESETSTAT")
    clients = [second.connect() for _ in known]
    exchanges = value(second, "far_cache_exchanges_total")
    redis.pause()
    for client, who in zip(clients, known):
        client.send(encode(request(policy_test_time=START + 100, **who)))
    second.watch.wait_value(60, "mongrey_far_cache_lookups_total")
    redis.resume()
    assert {client.read_action() for client in clients} == {KNOWN}
    second.watch.wait_value(60, "mongrey_far_cache_hits_total")
    assert value(second, "far_cache_exchanges_total") - exchanges <= 4
    calls = re.search(r"cmdstat_getrange:calls=(\d+)", redis.query("INFO", "commandstats"))
    assert int(calls[1]) >= 60
    for client in clients:
        client.close()


def test_two_stores_in_one_redis_know_nothing_of_each_other(hosts, redis, folder):
    other = folder / "other"
    other.mkdir()
    Store(other)
    first, second = hosts(redis.url()), hosts(redis.url(), database=other / "mongrey.db")
    wait_up(first), wait_up(second)
    who = make_known(first)
    assert not passes(ask(second, who))
    assert value(second, "far_cache_hits_total") == 0


@pytest.mark.parametrize("setting", ["greylist_key: high", "greylist_ipv4_prefix: 32"])
def test_a_host_with_other_settings_looks_under_other_keys(hosts, redis, setting):
    first = hosts(redis.url(), settings="policy_settings: {greylist_key: low}\n")
    second = hosts(redis.url(), settings=f"policy_settings: {{{setting}}}\n")
    wait_up(first), wait_up(second)
    who = make_known(first)
    assert not passes(ask(second, who))
    assert value(second, "far_cache_hits_total") == 0


# --- When it counts no more ---------------------------------------------------------------------------

def test_an_entry_that_was_erased_counts_nowhere_after_two_seconds(hosts, redis, folder):
    first, second, third = (hosts(redis.url()) for _ in range(3))
    for host in (first, second, third):
        wait_up(host)
    who = make_known(first)
    Store(folder).change(("DELETE FROM greylist_entry", ()))
    time.sleep(2.0 * SLOW)
    assert len(names(redis)) == 1  # it is still there; it only counts no more
    answers = [ask(host, who, 100 + i) for i, host in enumerate((third, second, first))]
    assert not any(passes(answer) for answer in answers), answers


def test_a_change_of_lists_voids_all_on_every_host(hosts, redis, folder):
    first, second = hosts(redis.url()), hosts(redis.url())
    wait_up(first), wait_up(second)
    who = make_known(first)
    Store(folder).add("whitelist", "sender somebody@else.test")
    time.sleep(2.0 * SLOW)
    assert ask(second, who) == KNOWN  # by the store, which puts it anew
    assert value(second, "far_cache_hits_total") == 0
    second.watch.wait_value(1, "mongrey_far_cache_puts_total")
    assert ask(first, who) == KNOWN
    assert value(first, "far_cache_hits_total") == 1


def test_what_expired_is_not_known_by_redis(hosts, redis):
    settings = "policy_settings: {greylist_expire: 1h}\n"
    first, second = hosts(redis.url(), settings=settings), hosts(redis.url(), settings=settings)
    wait_up(first), wait_up(second)
    who = make_known(first)
    assert not passes(ask(second, who, 60 + 3 * 86400))  # past greylist_window, too
    assert (value(second, "far_cache_lookups_total"), value(second, "far_cache_hits_total")) == (1, 0)
    assert len(names(redis)) == 1


def test_a_row_that_is_gone_without_a_word_is_forgotten_in_redis_too(hosts, redis, folder):
    first, second = hosts(redis.url()), hosts(redis.url())
    wait_up(first), wait_up(second)
    who = make_known(first)
    with sqlite3.connect(folder / "mongrey.db") as store:
        store.execute("DELETE FROM greylist_entry")
    store.close()
    assert ask(second, who) == KNOWN
    place.wait_for(lambda: names(redis) == [], "the entry's end", 10)


# --- When it is slow, gone, full or locked ------------------------------------------------------------

def test_a_redis_that_stands_costs_one_time_out(hosts, redis):
    first, second = hosts(redis.url()), hosts(redis.url())
    wait_up(first), wait_up(second)
    known = make_known(first, 30)
    assert ask(second, known[0]) == KNOWN
    redis.pause()
    began = time.monotonic()
    took = []
    for who in known[1:]:
        one = time.monotonic()
        assert ask(second, who) == KNOWN  # the store knows
        took.append(time.monotonic() - one)
    assert time.monotonic() - began < 2 * SLOW
    assert max(took) < 0.5 * SLOW
    assert sum(one > 0.09 for one in took) <= 1 * SLOW, took
    place.wait_for(lambda: len(lines(second)) == 2, "the line", 10)
    time.sleep(1)
    redis.resume()
    wait_up(second)
    # A look at it that found nobody may have been on its way when it stood.
    assert lines(second) == ["here", "no answer within 100 ms; going on without it", "back again"]
    assert value(second, "store_trouble_total") == 0


def test_a_redis_that_dies_and_comes_back_is_a_line_each(hosts, redis):
    host = hosts(redis.url())
    wait_up(host)
    who = make_known(host)
    wanted = ["here"]
    for _ in range(2):
        redis.kill()
        for i in range(20):
            assert ask(host, who, 101 + i) == KNOWN
            assert not passes(ask(host, stranger()))
        wait_up(host, 0)
        status, health = host.watch.health()
        assert (status, health["redis"]) == (200, "away")
        time.sleep(0.5)
        redis.start()
        wait_up(host)
        assert host.watch.health()[1]["redis"] == "ok"
        make_known(host)
        said = lines(host)
        assert said[:len(wanted)] == wanted and len(said) == len(wanted) + 2, said
        assert said[-2].endswith("; going on without it") and said[-1] == "back again"
        wanted = said


def test_a_redis_that_is_not_there_yet_is_taken_when_it_comes(hosts, redis):
    redis.stop()
    host = hosts(redis.url())
    who = stranger()
    assert not passes(ask(host, who, 0))
    assert passes(ask(host, who, 60))
    time.sleep(1)
    assert lines(host) == ["Connection refused; going on without it"]
    redis.start()
    wait_up(host)
    assert lines(host)[1:] == ["back again"]


def test_a_full_redis_is_said_once_and_harms_nobody(hosts, redis):
    host, other = hosts(redis.url()), hosts(redis.url())
    wait_up(host), wait_up(other)
    before = make_known(host)
    redis.query("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.query("CONFIG", "SET", "maxmemory", "1")
    for _ in range(10):
        who = stranger()
        assert not passes(ask(host, who, 0))
        assert passes(ask(host, who, 60))
    place.wait_for(lambda: len(lines(host)) == 2, "the line")
    assert lines(host)[1].startswith("takes no entries: OOM ")
    assert value(host, "far_cache_up") == 1
    assert ask(other, before) == KNOWN and value(other, "far_cache_hits_total") == 1
    redis.query("CONFIG", "SET", "maxmemory", "0")
    time.sleep(5.2)
    make_known(host)
    place.wait_for(lambda: lines(host)[2:] == ["takes entries again"], "the other line")


def test_a_wrong_password_is_one_line_without_it(hosts):
    with servers.Redis(password="right") as redis:
        host = hosts(redis.url().replace(":right@", ":geheim@"))
        who = stranger()
        assert not passes(ask(host, who, 0))
        assert passes(ask(host, who, 60))
        time.sleep(1.5)
        assert lines(host) == ["it refuses the user or the password: WRONGPASS; going on without it"]
        assert b"geheim" not in host.log()
        none = hosts(redis.url().replace(":right@", ""))
        none.wait_log("NOAUTH Authentication required")


def test_who_may_not_read_is_away_and_does_not_come_and_go(hosts, redis):
    redis.query("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+set", "+ping")
    host = hosts(f"redis://poor:pw@127.0.0.1:{redis.port}")
    host.wait_log("NOPERM")
    for _ in range(3):
        ask(host, stranger())
        time.sleep(0.4)
    assert len(lines(host)) == 1, lines(host)


def test_password_user_database_and_socket(hosts):
    with servers.Redis(password="p-w") as redis:
        redis.query("ACL", "SETUSER", "mongrey", "on", ">a:b/c%d", "~mongrey-cache:*", "+getrange", "+set",
                    "+del", "+select")
        urls = [redis.url(3), f"unix://:p-w@{redis.folder}/socket?db=3",
                f"redis://mongrey:a%3Ab%2Fc%25d@127.0.0.1:{redis.port}/3"]
        running = [hosts(url) for url in urls]
        for host in running:
            wait_up(host)
        who = make_known(running[0])
        for host in running[1:]:
            assert ask(host, who) == KNOWN
            assert value(host, "far_cache_hits_total") == 1
        assert redis.query("-n", "3", "DBSIZE") == "1" and redis.query("DBSIZE") == "0"
        assert all(b"p-w" not in host.log() and b"a%3A" not in host.log() for host in running)


# --- When it lies -------------------------------------------------------------------------------------

def name_of_pending(folder, known_name):
    """The name that the one pending sender's entry would have."""
    with sqlite3.connect(folder / "mongrey.db") as store:
        keys = [row[0].hex() for row in store.execute("SELECT key FROM greylist_entry WHERE passes = 0")]
    assert len(keys) == 1
    return known_name.rpartition(":")[0] + ":" + keys[0]


def set_raw(redis, name, octets):
    with socket.create_connection(("127.0.0.1", redis.port)) as wire:
        wire.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name.encode(), len(octets), octets))
        assert wire.recv(100) == b"+OK\r\n"


def get_raw(redis, name):
    with socket.create_connection(("127.0.0.1", redis.port)) as wire:
        wire.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(name), name.encode()))
        return wire.recv(1000).split(b"\r\n", 1)[1][:-2]


def test_no_value_makes_a_stranger_known(hosts, redis, folder):
    """Whoever may write to Redis can not let a stranger pass, nor bring down who reads it."""
    first, second = hosts(redis.url()), hosts(redis.url())
    wait_up(first), wait_up(second)
    make_known(first)
    known_name = names(redis)[0]
    real = get_raw(redis, known_name)
    assert len(real) == 33 and real[0] == 1
    who = stranger()
    assert not passes(ask(first, who, 100))
    name = name_of_pending(folder, known_name)
    lies = [real,  # true, but of another key
            b"x", b"x" * 33, b"x" * 64, b"x" * 65, b"\0" * 33, real[:-1], real + b"\0", b"\2" + real[1:],
            real[:1] + b"\0" * 7 + b"\1" + real[9:], real[:9] + b"\x7f" + b"\xff" * 7 + real[17:],
            b"y" * 20_000_000]
    for i, lie in enumerate(lies):
        set_raw(redis, name, lie)
        assert not passes(ask(second, who, 101)), lie[:70]
        assert value(second, "far_cache_trouble_total", kind="foreign") == i + 1
    for words in (["LPUSH", name, "a"], ["HSET", name, "a", "b"], ["SADD", name, "a"]):
        redis.query("DEL", name)
        redis.query(*words)
        assert not passes(ask(second, who, 101))
    assert value(second, "far_cache_trouble_total", kind="foreign") == len(lies) + 3
    assert value(second, "far_cache_up") == 1
    assert lines(second) == ["here"]


def test_a_known_sender_passes_whatever_redis_says(hosts, redis):
    first, second = hosts(redis.url()), hosts(redis.url())
    wait_up(first), wait_up(second)
    who = make_known(first)
    set_raw(redis, names(redis)[0], b"nonsense")
    assert ask(second, who) == KNOWN
    second.watch.wait_value(1, "mongrey_far_cache_puts_total")  # mended


class Liar:
    """Answers each read of a connection with these bytes, after `good` of them as Redis would."""

    def __init__(self, octets, good=0, drip=0.0, endless=False, close=False):
        self.octets, self.good, self.drip, self.endless, self.close_it = octets, good, drip, endless, close
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.2)
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self):
        while not self.ended.is_set():
            try:
                wire, _ = self.listener.accept()
            except TimeoutError:
                continue
            self.threads.append(threading.Thread(target=self.serve, args=(wire,)))
            self.threads[-1].start()

    def serve(self, wire):
        wire.settimeout(5)
        left = self.good
        try:
            while not self.ended.is_set() and wire.recv(65536):
                if left > 0:
                    left -= 1
                    wire.sendall(b"$0\r\n\r\n")
                elif self.drip:
                    for octet in self.octets:
                        wire.sendall(bytes([octet]))
                        if self.ended.wait(self.drip):
                            return
                else:
                    wire.sendall(self.octets)
                    while self.endless and not self.ended.is_set():
                        wire.sendall(self.octets)
                    if self.close_it:
                        return
        except OSError:
            pass
        finally:
            wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(10)
        self.listener.close()


LIES = {
    "garbage": {"octets": b"HTTP/1.1 400 Bad Request\r\n\r\n"},
    "binary": {"octets": bytes(range(256))},
    "long-array": {"octets": b"*2147483647\r\n"},
    "deep-arrays": {"octets": b"*1\r\n" * 50},
    "negative": {"octets": b"$-5\r\n"},
    "huge-string": {"octets": b"$536870912\r\n" + b"x" * 100000},
    "endless": {"octets": b"x" * 65536, "endless": True},
    "endless-string": {"octets": b"$2000000000\r\n" + b"x" * 65536, "endless": True},
    "byte-by-byte": {"octets": b"$64\r\n" + b"x" * 60, "drip": 0.05},
    "integer": {"octets": b":1\r\n"},
    "status": {"octets": b"+OK\r\n"},
    "nil": {"octets": b"$-1\r\n"},
    "error": {"octets": b"-ERR \x1b[31m forged\rline\r\n"},
    "closes": {"octets": b"", "close": True},
    "half": {"octets": b"$10\r\nabc", "close": True},
    "too-many": {"octets": b"$0\r\n\r\n" * 100},
}


@pytest.mark.parametrize("good", [0, 1, 2])
@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_is_no_redis_stops_no_mail(hosts, lie, good):
    with Liar(good=good, **LIES[lie]) as liar:
        host = hosts(f"redis://127.0.0.1:{liar.port}")
        time.sleep(0.2)
        who = stranger()
        for moment, wanted in ((0, False), (60, True), (61, True)):
            began = time.monotonic()
            assert passes(ask(host, who, moment)) == wanted
            assert time.monotonic() - began < 0.6 * SLOW
        for _ in range(5):
            assert not passes(ask(host, stranger(), 0))
        assert len(host.log()) < 20000
        assert b"\x1b" not in host.log()
        assert host.resident_bytes() < 100 * 2**20 or place.is_sanitized()


# --- Settings -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("url, wanted", [
    ("redis://:geheim@h/x", "MONGREY_CACHE: has a database that is no number"),
    ("rediss://:geheim@h", "MONGREY_CACHE: is rediss://, but TLS to Redis is not built in"),
    ("redis://:geheim@a,b", "MONGREY_CACHE: names more than one host"),
    ("disk", "MONGREY_CACHE: must be memory, none, redis://host or unix:///path"),
])
@pytest.mark.parametrize("command", ["start", "config-check"])
def test_a_bad_url_ends_the_start(folder, command, url, wanted):
    done = run_command(folder, command, environment={"MONGREY_CACHE": url})
    assert done.returncode == 78
    assert wanted in done.stderr + done.stdout
    assert "geheim" not in done.stderr + done.stdout


def test_the_password_is_not_shown(folder):
    done = run_command(folder, "config", environment={"MONGREY_CACHE": "redis://u:geheim@h:1/2"})
    assert "redis://u:***@h:1/2" in done.stdout and "geheim" not in done.stdout
