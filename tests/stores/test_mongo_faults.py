"""The mongo driver with a daemon before it: a server that dies, hangs, is newer, or is read only, and a writer that died
amid a change. On whichever server lib/mongo.py finds that writes atomically."""

import concurrent.futures
import json
import os
import socket
import threading
import time

import pytest

from lib import mongo, place
from lib.daemon import run_command
from lib.policy import new_address, unique

START = 1_700_000_000


@pytest.fixture(scope="module")
def server():
    found, why_not = mongo.first_of(mongo.Mongod, mongo.DocumentDB)
    if not found:
        if os.environ.get("MONGREY_TEST_REQUIRE") == "all":
            pytest.fail(why_not)
        pytest.skip(why_not)
    with found:
        yield found


@pytest.fixture
def sql(server):
    """The store behind the driver's back, where there is a way."""
    if not isinstance(server, mongo.DocumentDB):
        pytest.skip(f"{server.name}: only DocumentDB is written to past the driver")

    def call(function, database, collection, command):
        named = {function: collection, **command}
        text = json.dumps(named).replace("'", "''")
        return server.query(f"select documentdb_api.{function}('{database}', '{text}')")

    return call


def name_of(test):
    return unique(test).replace("-", "_").replace(".", "_")


def ask(folder, url, *arguments, **mail):
    request = ", ".join(f"{name}={value}" for name, value in mail.items())
    return run_command(folder, "check", *arguments, "--request", request, environment={"MONGREY_DB": url}, timeout=60)


MAIL = {"client_address": "192.0.2.1", "sender": "a@example.net", "recipient": "b@example.org"}


def test_five_open_a_new_store_at_once(server, folder):
    url = server.url(name_of("five"))
    folders = [folder / str(number) for number in range(5)]
    for each in folders:
        each.mkdir()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        done = list(pool.map(lambda each: ask(each, url, "--record", **MAIL), folders))
    assert [each.returncode for each in done] == [0] * 5, [each.stderr for each in done]
    assert ask(folder, url, **MAIL).stdout.count("450 4.2.0 Greylisted") == 1


def test_a_store_that_is_not_there_is_not_made_by_looking(server, folder, sql):
    database = name_of("looked")
    assert "no store" in ask(folder, server.url(database), **MAIL).stderr
    assert server.query(f"select count(*) from documentdb_api_catalog.collections where database_name = '{database}'") == "0"


def test_what_was_told_is_kept_when_the_server_dies_amid_batches(server, start):
    """Deferrals that were answered are there after the server came back; mail is answered all the while."""
    daemon = start(MONGREY_DB=server.url(name_of("dies")), MONGREY_TEST_CLOCK="true", MONGREY_PURGE_ENABLE="false",
                   MONGREY_DB_TROUBLE="defer")
    told, stop = [], threading.Event()

    def stranger():
        client = daemon.connect(timeout=60)
        while not stop.is_set():
            mail = {"client_address": new_address(), "recipient": unique("to") + "@t.test"}
            if client.ask(**mail, policy_test_time=START).startswith("450 4.2.0 Greylisted for 20 "):
                told.append(mail)

    threads = [threading.Thread(target=stranger) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(1)
        before = len(told)
        server.kill()
        time.sleep(0.3)
        server.start()
        place.wait_for(lambda: len(told) > before + 20, "service is back", 20)
    stop.set()
    for thread in threads:
        thread.join(60)
    client = daemon.connect()
    forgotten = [mail for mail in told
                 if not client.ask(**mail, policy_test_time=START + 5).startswith("450 4.2.0 Greylisted for 15 ")]
    assert not forgotten and len(told) > 60, (len(forgotten), len(told))


def test_a_server_that_hangs_keeps_nobody(server, start):
    daemon = start(MONGREY_DB=server.url(name_of("hangs")), MONGREY_TEST_CLOCK="true", MONGREY_DB_TROUBLE="defer")
    client = daemon.connect(timeout=60)
    assert client.ask(**MAIL, policy_test_time=START).startswith("450 4.2.0 Greylisted")
    server.pause()
    try:
        began = time.monotonic()
        answer = client.ask(client_address=new_address(), recipient="c@t.test", policy_test_time=START)
        assert not answer.startswith("450 4.2.0 Greylisted"), answer
        assert time.monotonic() - began < 20
    finally:
        server.resume()
    place.wait_for(lambda: client.ask(**MAIL, policy_test_time=START + 1).startswith("450 4.2.0 Greylisted"),
                   "service is back", 40)


def test_a_command_ends_where_the_server_hangs(server, folder):
    url = server.url(name_of("command"))
    assert ask(folder, url, "--record", **MAIL).returncode == 0
    server.pause()
    try:
        began = time.monotonic()
        assert ask(folder, url, "--record", **MAIL).returncode != 0
        assert time.monotonic() - began < 45
    finally:
        server.resume()
    assert ask(folder, url, **MAIL).returncode == 0


def test_nobody_listens(folder):
    done = ask(folder, f"mongodb://user:hush%20hush@127.0.0.1:{place.free_port()}/away", "--record", **MAIL)
    assert done.returncode != 0 and "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize("url", ["mongodb://127.0.0.1:1/", "mongodb://u:hush@hush@127.0.0.1:1/x", "mongodb://127.0.0.1:1/x?w=0"])
def test_urls_that_are_refused(url, folder):
    done = ask(folder, url, "--record", **MAIL)
    assert done.returncode == 78 and "hush" not in done.stdout + done.stderr, (done.returncode, done.stderr)


def test_a_newer_store_is_refused_and_left_alone(server, folder, sql):
    database = name_of("newer")
    assert ask(folder, server.url(database), "--record", **MAIL).returncode == 0
    sql("update", database, "mongrey", {"updates": [{"q": {"_id": "schema"}, "u": {"$set": {"version": 2}}}]})
    done = ask(folder, server.url(database), "--record", **MAIL)
    assert done.returncode == 78 and "newer" in done.stderr, done.stderr


def test_another_programs_collection_is_refused(server, folder, sql):
    database = name_of("other")
    sql("insert", database, "mongrey", {"documents": [{"_id": "schema", "what": "ever"}]})
    assert ask(folder, server.url(database), "--record", **MAIL).returncode == 78


def documents(server, database, collection):
    return server.query(f"select document from documentdb_api.collection('{database}', '{collection}')")


def test_what_a_dead_writer_intended_is_completed(server, start, folder, sql):
    """Its lock, its decision and its papers are there, and nothing of it is done; the next who looks does it."""
    database = name_of("intent")
    url = server.url(database)
    assert ask(folder, url, "--record", **MAIL).returncode == 0
    sql("insert", database, "whitelist", {"documents": [{"_id": "gone", "version": {"$numberLong": "1"}}]})
    sql("insert", database, "mongrey_intent", {"documents": [
        {"_id": "dead-0", "owner": "dead", "collection": "whitelist", "phase": 0,
         "selector": {"_id": "gone", "version": {"$numberLong": "1"}}},
        # {"_id": "made", "version": 1} as BSON
        {"_id": "dead-1", "owner": "dead", "collection": "whitelist", "phase": 4, "update": {"$binary": {
            "base64": "JAAAAAJfaWQABQAAAG1hZGUAEnZlcnNpb24AAQAAAAAAAAAA", "subType": "00"}}}]})
    sql("update", database, "mongrey", {"updates": [{"q": {"_id": "writer"}, "u": {"$set": {
        "owner": "dead", "intent": "dead", "lease": {"$numberLong": "2000"}}}}]})
    count = f"select count(*) from documentdb_api.collection('{database}', '%s')"
    assert server.query(count % "mongrey_intent") == "2"
    start(MONGREY_DB=url)
    began = time.monotonic()
    place.wait_for(lambda: server.query(count % "mongrey_intent") == "0", "the intent is completed", 30)
    assert time.monotonic() - began >= 1.5, "its lease was not kept"
    # BSON is told in hex: "made" is there, "gone" is not.
    told = documents(server, database, "whitelist")
    assert b"made".hex() in told and b"gone".hex() not in told, told


def test_undecided_papers_of_a_dead_writer_are_dropped(server, start, folder, sql):
    database = name_of("papers")
    url = server.url(database)
    assert ask(folder, url, "--record", **MAIL).returncode == 0
    sql("insert", database, "whitelist", {"documents": [{"_id": "stays", "version": {"$numberLong": "1"}}]})
    sql("insert", database, "mongrey_intent", {"documents": [
        {"_id": "dead-0", "owner": "dead", "collection": "whitelist", "phase": 0,
         "selector": {"_id": "stays", "version": {"$numberLong": "1"}}}]})
    sql("update", database, "mongrey", {"updates": [{"q": {"_id": "writer"}, "u": {"$set": {
        "owner": "dead", "lease": {"$numberLong": "1000"}}}}]})
    start(MONGREY_DB=url)
    place.wait_for(lambda: server.query(f"select count(*) from documentdb_api.collection('{database}', 'mongrey_intent')")
                   == "0", "the papers are dropped", 30)
    assert b"stays".hex() in documents(server, database, "whitelist")


def test_garbage_in_the_store_harms_nobody(server, folder, sql):
    """Members of other types, numbers below 0, ids that are no keys."""
    database = name_of("garbage")
    url = server.url(database)
    assert ask(folder, url, "--record", **MAIL).returncode == 0
    found = documents(server, database, "greylist_entry")
    key = bytes.fromhex(found[found.index("025f696400") + 18:][:64]).decode()
    sql("update", database, "greylist_entry", {"updates": [{"q": {"_id": key}, "u": {"$set": {
        "tries": -7, "passes": "many", "past": "none", "merged": [1], "waited": None, "sender": 5}}}]})
    sql("insert", database, "greylist_entry", {"documents": [{"_id": 7}, {"_id": "xyz", "expires": "never"}]})
    done = ask(folder, url, "--record", **MAIL)
    assert done.returncode == 0 and "450 4.2.0 Greylisted" in done.stdout, done.stdout + done.stderr


def test_a_stranger_on_the_port(folder):
    """What speaks another protocol is away, and soon."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        began = time.monotonic()
        done = ask(folder, f"mongodb://127.0.0.1:{listening.getsockname()[1]}/x", "--record", **MAIL)
    assert done.returncode != 0 and time.monotonic() - began < 45


def test_a_wrong_password_is_refused(server):
    if isinstance(server, mongo.DocumentDB):
        pytest.skip(f"{server.name} knows no users")
    pytest.skip("this server is started without users")


