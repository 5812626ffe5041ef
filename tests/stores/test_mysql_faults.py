"""The MySQL driver and servers that fail."""

import random
import subprocess
import threading
import time

import pytest

from lib import place, servers
from faults_lib import CALL, MOST, Poke, count_batches, counts

WHY = servers.can(servers.MariaDB)
pytestmark = [pytest.mark.skipif(WHY is not None, reason=str(WHY)),
              pytest.mark.skipif(not (place.BUILD / "drivers/mysql.so").exists(), reason="the driver was not built")]


@pytest.fixture(scope="module")
def shared():
    with servers.MariaDB() as server:
        yield server


@pytest.fixture
def own():
    """For tests that take the server away."""
    with servers.MariaDB(durable=True) as server:
        server.make("db")
        yield server


@pytest.fixture
def name(shared, request):
    made = f"t{abs(hash(request.node.name)) % 10**9}"
    shared.make(made)
    yield made
    shared.drop(made)


@pytest.fixture
def plain(shared, name):
    """The URL of a user with rights on this database only: what `mongrey` may do goes beyond read_only."""
    shared.query("", f"create user if not exists plain@'127.0.0.1' identified by 'plain'; "
                     f"grant all on {name}.* to plain@'127.0.0.1'")
    yield f"mysql://plain:plain@127.0.0.1:{shared.port}/{name}"
    shared.query("", "set global read_only = 0; drop user plain@'127.0.0.1'")


def settle(poke):
    """Attaches anew until the store is back."""
    poke("detach")
    place.wait_for(lambda: poke("attach").status == "OK", "the store is back", 30)


class Holder:
    """A session of the administrator that holds what its statements take, until it ends."""

    def __init__(self, server, database, sql):
        self.process = subprocess.Popen(
            ["mariadb", "--no-defaults", "-S", str(server.folder / "socket"), "-uroot", "-BNn", database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"{sql}; select 'held';\n")
        self.process.stdin.flush()
        while self.process.stdout.readline().strip() != "held":
            assert self.process.poll() is None, "what was to be held is not"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_ends_in_mid_batch_never_makes_a_count_double(own, how):
    """Each batch that was OK counts once; the one that was cut off never or once, and only if it says UNCERTAIN."""
    with Poke("mysql", own.url("db")).up() as poke:
        sure = unsure = 0
        for _ in range(5):
            timer = threading.Timer(random.uniform(0.02, 0.3), getattr(own, how))
            timer.start()
            done, answer = count_batches(poke, 200, lambda n: False)
            timer.join()
            sure += done
            assert answer.status in ("UNAVAILABLE", "UNCERTAIN"), answer
            unsure += answer.status == "UNCERTAIN"
            assert poke("count 0 1").status == "UNAVAILABLE"
            own.start()
            settle(poke)
        seen = set(counts(poke, 200))
        assert len(seen) == 1, "a batch was done in part"
        assert sure <= seen.pop() <= sure + unsure


def test_a_commit_that_is_not_answered_is_uncertain(shared, name):
    with Poke("mysql", shared.url(name), call=900).up() as poke:
        assert poke("count 1 1").number == 1
        with Holder(shared, name, "backup stage start; backup stage flush; backup stage block_ddl; "
                                  "backup stage block_commit"):
            answer = poke("count 1 1")
            assert answer.status == "UNCERTAIN", answer
            assert poke("count 1 0").status == "UNAVAILABLE"
        settle(poke)
        assert poke("count 1 0").number in (1, 2)


def test_a_commit_that_is_refused_was_not_done(shared, name):
    """The server gives the commit up before the time is over: a certain rollback."""
    with Poke("mysql", shared.url(name), call=5000).up() as poke:
        assert poke("count 1 1").number == 1
        with Holder(shared, name, "backup stage start; backup stage flush; backup stage block_ddl; "
                                  "backup stage block_commit"):
            answer = poke("count 1 1")
            assert answer.status == "BUSY" and "1205" in answer.text, answer
        assert poke("count 1 1").number == 2


def test_a_connection_that_is_ended_is_unavailable_and_back_at_once(shared, name):
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
        for number in shared.query("", "select id from information_schema.processlist where user = 'mongrey'").split():
            shared.query("", f"kill {number}")
        assert poke("count 1 1").status == "UNAVAILABLE"
        settle(poke)
        assert poke("count 1 1").number == 2


@pytest.mark.parametrize("command", ["count 1 1", "grey 0 500", "put a", "search", "revision", "purge", "tally"])
def test_a_server_that_stands_still_costs_no_more_than_the_time_outs(own, command):
    with Poke("mysql", own.url("db")).up() as poke:
        assert poke("count 1 1").status == "OK"
        own.pause()
        try:
            answer = poke(command)
            assert answer.status == "UNAVAILABLE", answer
            assert CALL <= answer.milliseconds <= MOST
            poke("detach")
            answer = poke("attach")
            assert answer.status == "UNAVAILABLE" and answer.milliseconds <= MOST, answer
        finally:
            own.resume()
        settle(poke)
        assert poke("count 1 0").number == 1


def test_a_lock_that_is_held_is_busy_and_the_session_lives(shared, name):
    with Poke("mysql", shared.url(name), call=4000).up() as poke:
        assert poke("count 1 1").status == "OK"
        with Holder(shared, name, "begin; select 1 from greylist_counter for update"):
            answer = poke("count 1 1")
            assert answer.status == "BUSY" and "1205" in answer.text and answer.milliseconds <= 4500, answer
        assert poke("count 1 1").number == 2


def test_a_search_that_takes_too_long_is_busy_and_the_session_lives(shared, name):
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("put a").status == "OK"
        shared.query(name, "rename table thing to things; create view thing as "
                           "select id, version, label, if(sleep(5) = 0, rank, 0) as rank from things")
        answer = poke("search")
        assert answer.status == "BUSY" and answer.milliseconds <= MOST, answer
        shared.query(name, "drop view thing; rename table things to thing")
        assert poke("search").number == 1


def test_a_wrong_password_is_denied_and_not_shown(shared, name):
    with Poke("mysql", shared.url(name).replace(servers.QUOTED, "wrong-secret")) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "1045" in answer.text, answer
        assert "wrong-secret" not in answer.text


def test_a_missing_database_is_named_with_the_way_to_make_it(shared):
    with Poke("mysql", shared.url("nowhere")) as poke:
        answer = poke("open")
        assert answer.status == "INVALID" and "CREATE DATABASE `nowhere`" in answer.text, answer
    with Poke("mysql", shared.url("nowhere"), read_only=True) as poke:
        assert poke("open").status == "UNAVAILABLE"


@pytest.mark.parametrize("parameters, word", [
    ("?colour=red", "colour"), ("?charset=latin1", "charset"), ("?ssl-mode=perhaps", "ssl-mode"),
    ("?ssl-mode=verify-full", "ssl-ca"), ("?ssl-mode=required&ssl-ca=/x", "ssl-ca"), ("?ssl-key=/x", "ssl-cert"),
    ("?socket=/x", "localhost")])
def test_a_parameter_that_cannot_be_is_invalid(shared, name, parameters, word):
    with Poke("mysql", shared.url(name, parameters)) as poke:
        answer = poke("open")
        assert answer.status == "INVALID" and word in answer.text, answer


def test_a_server_that_is_read_only_is_denied_and_can_be_read(shared, name, plain):
    with Poke("mysql", plain).up() as poke:
        assert poke("count 1 1").status == "OK"
    shared.query("", "set global read_only = 1")
    with Poke("mysql", plain) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "1290" in answer.text, answer
    with Poke("mysql", plain, read_only=True).up() as poke:
        assert poke("count 1 0").number == 1


def test_a_server_that_turns_read_only_costs_the_session(shared, name, plain):
    """As after a fail-over: the core attaches anew, until it meets the server that takes writes."""
    with Poke("mysql", plain).up() as poke:
        assert poke("count 1 1").status == "OK"
        shared.query("", "set global read_only = 1")
        for command in ("count 1 1", "count 1 1", "attach"):
            assert poke(command).status == "UNAVAILABLE"
        shared.query("", "set global read_only = 0")
        settle(poke)
        assert poke("count 1 1").number == 2


def test_of_two_hosts_the_one_that_takes_writes_is_taken(own, shared, name, plain):
    own.query("", "create user plain@'127.0.0.1' identified by 'plain'; grant all on *.* to plain@'127.0.0.1'; "
                  f"revoke read_only admin on *.* from plain@'127.0.0.1'; create database {name}")
    first = f"127.0.0.1:{own.port}"
    both = plain.replace("@127", f"@{first},127")
    with Poke("mysql", plain.replace(f"127.0.0.1:{shared.port}", first)).up():
        own.query("", "set global read_only = 1")
    with Poke("mysql", both).up() as poke:
        assert poke("count 1 1").number == 1
    assert shared.query(name, "select count from greylist_counter") == "1"


def test_a_user_without_rights_is_denied(shared, name, plain):
    with Poke("mysql", plain).up() as poke:
        assert poke("count 1 1").status == "OK"
        shared.query("", f"revoke all on {name}.* from plain@'127.0.0.1'; "
                         f"grant select on {name}.* to plain@'127.0.0.1'")
        poke("detach")  # the server looks at the rights on a database once for each connection
        assert poke("attach").status == "DENIED"
    with Poke("mysql", plain) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "grant the user" in answer.text, answer
    with Poke("mysql", plain, read_only=True).up() as poke:
        assert poke("count 1 0").number == 1


def test_too_many_connections_are_unavailable(shared, name, plain):
    shared.query("", "grant usage on *.* to plain@'127.0.0.1' with max_user_connections 1")
    with Poke("mysql", plain).up(), Poke("mysql", plain) as other:
        assert other("open").status == "UNAVAILABLE"


def test_a_server_that_is_away_is_unavailable():
    with Poke("mysql", f"mysql://mongrey@127.0.0.1:{place.free_port()}/db") as poke:
        assert poke("open").status == "UNAVAILABLE"


def test_the_second_host_is_taken_when_the_first_is_away(shared, name):
    first = f"127.0.0.1:{place.free_port()}"
    with Poke("mysql", shared.url(name).replace("@127", f"@{first},127")).up() as poke:
        assert poke("count 1 1").number == 1


def test_a_full_disk_is_unavailable_and_mends_itself(own):
    """The database on a file system of few megabytes."""
    small = own.folder / "data/db"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=6m,mode=700,uid={own.identity()['user']}", "none",
                       str(small)], check=False, capture_output=True).returncode:
        pytest.skip("a full disk: this machine mounts no tmpfs")
    try:
        with Poke("mysql", own.url("db")).up() as poke:
            done = 0
            for first in range(0, 1024 * 100, 1024):
                answer = poke(f"grey {first} 1024")
                if answer.status != "OK":
                    break
                done += 1
            assert answer.status == "UNAVAILABLE" and "disk is full" in answer.text, answer
            settle(poke)
            assert poke("tally").number == done * 1024
            subprocess.run(["mount", "-o", "remount,size=60m", str(small)], check=True)
            assert poke(f"grey {first} 1024").number == 1024
    finally:
        own.stop()
        subprocess.run(["umount", str(small)], check=False)


def columns(server, name, table):
    return server.query("", "select column_name from information_schema.columns where "
                            f"table_schema = '{name}' and table_name = '{table}' order by 1").split()


def test_an_older_schema_is_widened(shared, name):
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("put a").number == 1
    shared.query(name, "alter table thing drop index by_label, drop column label; alter table greylist_entry drop index by_first_seen")
    with Poke("mysql", shared.url(name), read_only=True) as poke:
        assert poke("open").status == "UNAVAILABLE"
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("put a").number == 2
        assert poke("search").number == 1
    made = shared.query("", "select group_concat(table_name, '.', column_name order by 1, seq_in_index) from "
                            f"information_schema.statistics where table_schema = '{name}' and "
                            "index_name in ('by_first_seen', 'by_label')")
    assert sorted(made.split(",")) == ["greylist_entry.first_seen", "greylist_entry.key_", "thing.id", "thing.label"]


def test_a_store_that_was_begun_is_finished(shared, name):
    """An instance that is cut off at any step leaves what the next one goes on with."""
    with Poke("mysql", shared.url(name)).up():
        pass
    shared.query(name, "delete from mongrey; drop table greylist_counter, thing")
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("count 1 1").number == 1
        assert poke("put a").number == 1


def test_a_newer_schema_is_refused_and_left_alone(shared, name):
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
    shared.query(name, "update mongrey set value = 2 where name = 'schema'; alter table thing drop column label")
    with Poke("mysql", shared.url(name)) as poke:
        answer = poke("open")
        assert answer.status == "SCHEMA" and "newer mongrey" in answer.text, answer
    assert "label" not in columns(shared, name, "thing")


@pytest.mark.parametrize("foreign", ["create table mongrey (id int)", "create table mongrey (name varchar(9), value text)",
                                     "create table thing (id int primary key, version text)",
                                     "create table greylist_entry (id int)"])
def test_a_foreign_table_of_our_name_is_refused_and_left_alone(shared, name, foreign):
    shared.query(name, f"{foreign}; create table elsewhere (id int)")
    all_columns = ("select table_name, column_name from information_schema.columns "
                   f"where table_schema = '{name}' order by 1, 2")
    before = shared.query("", all_columns)
    with Poke("mysql", shared.url(name)) as poke:
        answer = poke("open")
        assert answer.status == "SCHEMA", answer
    assert before == shared.query("", all_columns)


def test_foreign_tables_beside_ours_are_no_trouble(shared, name):
    shared.query(name, "create table elsewhere (id int); create table counter (id int)")
    with Poke("mysql", shared.url(name)).up() as poke:
        assert poke("count 1 1").number == 1


def test_five_processes_open_a_new_store_at_once(shared):
    for round_ in range(5):
        name = f"five{round_}"
        shared.make(name)
        pokes = [Poke("mysql", shared.url(name), call=20000) for _ in range(5)]
        for poke in pokes:
            poke.say("open")
        assert [poke.listen().status for poke in pokes] == ["OK"] * 5
        for number, poke in enumerate(pokes, 1):
            assert poke("attach").status == "OK"
            assert poke("count 1 1").number == number
        for poke in pokes:
            poke.__exit__()
        shared.drop(name)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_wrong_certificate_authority_is_refused(shared, name, folder, mode):
    made, _ = servers.certificate(folder, shared.user)
    with Poke("mysql", shared.url(name, f"?ssl-mode={mode}&ssl-ca={shared.folder}/server.crt")).up() as poke:
        assert poke("count 1 1").number == 1
    with Poke("mysql", shared.url(name, f"?ssl-mode={mode}&ssl-ca={made}")) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "certificate" in answer.text, answer
    with Poke("mysql", shared.url(name, f"?ssl-mode={mode}&ssl-ca=/nowhere/ca.crt")) as poke:
        assert poke("open").status == "DENIED"


@pytest.mark.parametrize("mode, encrypted", [("disabled", False), ("preferred", True), ("required", True)])
def test_tls_is_as_the_mode_says(shared, name, mode, encrypted):
    with Poke("mysql", shared.url(name, f"?ssl-mode={mode}")).up() as poke:
        assert poke("count 1 1").number == 1
        shared.query("", f"create user if not exists tls{mode}@'127.0.0.1' identified by 'x' require ssl; "
                         f"grant all on {name}.* to tls{mode}@'127.0.0.1'")
    with Poke("mysql", f"mysql://tls{mode}:x@127.0.0.1:{shared.port}/{name}?ssl-mode={mode}") as poke:
        assert poke("open").status == ("OK" if encrypted else "DENIED")


def test_tls_that_is_required_is_not_given_up(own):
    """A server without TLS: `preferred` goes on in the clear, `required` does not."""
    own.stop()
    command = own.command
    own.command = lambda: [part for part in command() if not str(part).startswith("--ssl")] + ["--skip-ssl"]
    own.start()
    with Poke("mysql", own.url("db", "?ssl-mode=preferred")).up() as poke:
        assert poke("count 1 1").number == 1
    with Poke("mysql", own.url("db", "?ssl-mode=required")) as poke:
        assert poke("open").status == "DENIED"
