"""Several hosts on one store: three daemons that know nothing of each other but what lies in it."""

import os
import random
import re
import threading
import time

import pytest

from lib import place
from lib.policy import new_address, unique

START, DAY = 1_700_000_000, 86400
HOSTS = 3
SEED = int(os.environ.get("MONGREY_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
REQUESTS = int(os.environ.get("MONGREY_TEST_REQUESTS", "10000"))
HEADER = re.compile(r"by mongrey-\S+ at [^;]*; .*")


@pytest.fixture
def hosts(start, shop):
    """hosts(...) starts three daemons on a new store; returns them and its URL."""
    def start_hosts(url=None, **more):
        url = url or shop.new()
        return [start(MONGREY_DB=url, MONGREY_TEST_CLOCK="true", **more) for _ in range(HOSTS)], url
    return start_hosts


def mail(**more):
    return {"client_address": new_address(), "sender": "alice@x.test", "recipient": unique("to") + "@t.test", **more}


def ask(server, mails, moment):
    return server.ask(policy_test_time=START + moment, **mails)


def set_clocks(servers):
    """Before its first request a daemon purges by the real time, by which all here is long past."""
    for server in servers:
        ask(server, mail(), 0)
    time.sleep(0.3)


def test_a_key_deferred_by_one_passes_at_another(hosts):
    (one, two, three), _ = hosts()
    mails = mail()
    assert ask(one, mails, 0).startswith("450")
    assert ask(two, mails, 19).startswith("450 4.2.0 Greylisted for 1 seconds")
    assert ask(three, mails, 20).startswith("PREPEND X-Greylist: delayed 20 seconds")
    assert ask(one, mails, 21).startswith("DUNNO")
    assert ask(two, mails, 22).startswith("DUNNO")


def test_a_changed_list_counts_at_all_within_two_seconds(hosts, shop):
    servers, url = hosts()
    def all_say(wanted):
        return all(ask(server, mail(sender="foe@black.test"), 0).startswith(wanted) for server in servers)
    assert all_say("450")
    shop.import_records(url, "blacklist:\n- {field_name: sender, value: foe@black.test}\n")
    place.wait_for(lambda: all_say("5"), "rejected at all hosts", 2)
    shop.import_records(url, "blacklist:\n- {field_name: sender, value: foe@black.test, "
                             "expires: 2020-01-01T00:00:00Z}\n")
    place.wait_for(lambda: all_say("450"), "at none any more", 2)


LISTS = """
whitelist:
- {field_name: sender, value: friend@white.test}
- {field_name: client_address, value: 198.51.100.0/28}
- {field_name: sender, value: soon@white.test, expires: 2023-11-20T00:00:00Z}
blacklist:
- {field_name: sender, value: foe@black.test}
- {field_name: helo_name, value: bad.helo.test}
policy:
- {name: slow, field_name: recipient, value: slow@t.test, greylist_remaining: 1h}
- {name: open, field_name: recipient, value: open@t.test, greylist_enable: false}
"""


def random_requests(chance, most_step):
    """Keys that are repeated at moments that only go forward."""
    now = START
    senders = [f"s{chance.choice('abcdef')}{chance.choice('ghijkl')}{n % 26 * 'x'}@x{n % 7}.test" for n in range(150)]
    senders += ["friend@white.test", "soon@white.test", "foe@black.test"]
    recipients = ["a@t.test", "b@t.test", "slow@t.test", "open@t.test", "postmaster@t.test"]
    clients = [f"20.1.{n}.{chance.randrange(1, 254)}" for n in range(12)] + ["198.51.100.3", "10.1.1.1", "2001:db8:7::1"]
    for _ in range(REQUESTS):
        now += chance.choice([0, 0, 0, 1, 5, 19, 20, 21, 60, 600, chance.randrange(most_step)])
        yield {"policy_test_time": now, "sender": chance.choice(senders), "recipient": chance.choice(recipients),
               "client_address": chance.choice(clients),
               "helo_name": "bad.helo.test" if chance.random() < 0.01 else "mail.x.test"}


# With a cache, passes are told to the store every two seconds of real time: a clock that jumps over the time for which
# a sender is known would be another one on each host, so there it does not jump so far.
@pytest.mark.parametrize("cache, most_step", [("none", 3 * DAY), ("memory", 1500)])
def test_no_decision_differs_from_one_host_alone(hosts, shop, start, folder, cache, most_step):
    print(f"MONGREY_TEST_SEED={SEED}")
    more = {"MONGREY_CACHE": cache, "MONGREY_PURGE_INTERVAL": "500ms"}
    url = shop.new()
    shop.import_records(url, LISTS)
    servers, _ = hosts(url, **more)
    records = folder / "records.yml"
    records.write_text("version: 1\n" + LISTS)
    alone = start(MONGREY_TEST_CLOCK="true", MONGREY_SERVER_FIXTURES=records, **more)
    seen = {}
    set_clocks([*servers, alone])
    for number, request in enumerate(random_requests(random.Random(SEED), most_step)):
        wanted = HEADER.sub("", alone.ask(**request))
        found = HEADER.sub("", servers[number % HOSTS].ask(**request))
        assert found == wanted, f"seed {SEED}, request {number}: {request}"
        word = wanted.split(" ")[0]
        seen[word] = seen.get(word, 0) + 1
    assert {"450", "PREPEND", "DUNNO", "554"} <= seen.keys(), f"not everything was met: {seen}"


def every(servers, do):
    """do(server) on all of them at once; the first error counts."""
    errors = []
    def run(server):
        try:
            do(server)
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]


def test_hits_are_counted_exactly(hosts, shop):
    url = shop.new()
    shop.import_records(url, "whitelist:\n- {field_name: sender, value: friend@white.test}\n")
    servers, _ = hosts(url)
    every(servers, lambda server: [ask(server, mail(sender="friend@white.test"), 0) for _ in range(400)])
    found = shop.query("select id from whitelist")
    place.wait_for(lambda: shop.hits("whitelist", found) >= HOSTS * 400, "all hits", 10)
    for server in servers:
        assert server.stop() == 0
    assert shop.hits("whitelist", found) == HOSTS * 400


def entries(shop):
    return int(shop.query("select count(*) from greylist_entry"))


def test_all_purge_at_once_and_nothing_live_goes(hosts, shop):
    servers, _ = hosts(MONGREY_PURGE_INTERVAL="100ms")
    set_clocks(servers)
    before = entries(shop)
    every(servers, lambda server: [ask(server, mail(), 0) for _ in range(500)])
    living = [mail() for _ in range(60)]
    for number, one in enumerate(living):
        ask(servers[number % HOSTS], one, DAY)
    assert entries(shop) == before + HOSTS * 500 + 60
    every(servers, lambda server: ask(server, mail(), 2 * DAY + 10))  # the clock that purging goes by
    place.wait_for(lambda: entries(shop) == 60 + HOSTS, "only what is live is left", 20)
    for number, one in enumerate(living):
        assert ask(servers[(number + 1) % HOSTS], one, 2 * DAY + 20).startswith("PREPEND")


def test_the_ring_of_decisions_stays_bounded(hosts, shop):
    servers, _ = hosts(MONGREY_DECISIONS_MAX="100")
    for _ in range(4):
        every(servers, lambda server: [ask(server, mail(), 0) for _ in range(150)])
        time.sleep(1.2)

    def count():
        for server in servers:
            ask(server, mail(), 0)
        return int(shop.query("select count(*) from decision"))
    place.wait_for(lambda: count() <= HOSTS * 100, "a ring that is trimmed", 15)
    assert count() >= 100


def test_one_key_at_all_at_once_is_one_row(hosts, shop):
    servers, _ = hosts()
    mails = [mail() for _ in range(50)]
    every(servers, lambda server: [ask(server, one, 0) for one in mails])
    assert entries(shop) == 50
    assert int(shop.query("select sum(tries) from greylist_entry")) == HOSTS * 50
