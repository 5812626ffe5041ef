"""The PostgreSQL driver and servers that fail."""

import random
import signal
import subprocess
import threading
import time

import pytest

from lib import place, servers
from faults_lib import CALL, CONNECT, MOST, Poke, count_batches, counts

WHY = servers.can(servers.Postgres)
pytestmark = [pytest.mark.skipif(WHY is not None, reason=str(WHY)),
              pytest.mark.skipif(not (place.BUILD / "drivers/pgsql.so").exists(), reason="the driver was not built")]


@pytest.fixture(scope="module")
def shared():
    with servers.Postgres() as server:
        yield server


@pytest.fixture
def own():
    """For tests that take the server away."""
    with servers.Postgres(durable=True) as server:
        server.make("db")
        yield server


@pytest.fixture
def name(shared, request):
    made = f"t{abs(hash(request.node.name)) % 10**9}"
    shared.make(made)
    yield made
    shared.drop(made)


def settle(poke):
    """Attaches anew until the store is back."""
    poke("detach")
    place.wait_for(lambda: poke("attach").status == "OK", "the store is back", 30)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_server_that_ends_in_mid_batch_never_makes_a_count_double(own, how):
    """Each batch that was OK counts once; the one that was cut off never or once, and only if it says UNCERTAIN."""
    with Poke("pgsql", own.url("db")).up() as poke:
        sure = unsure = 0
        for _ in range(5):
            timer = threading.Timer(random.uniform(0.02, 0.3), lambda: own.end(how))
            timer.start()
            done, answer = count_batches(poke, 200, lambda n: False)
            timer.join()
            sure += done
            assert answer.status in ("UNAVAILABLE", "UNCERTAIN"), answer
            unsure += answer.status == "UNCERTAIN"
            assert poke("count 0 1").status == "UNAVAILABLE"
            time.sleep(0.2)
            (own.folder / "data/postmaster.pid").unlink(missing_ok=True)
            own.start()
            settle(poke)
        seen = set(counts(poke, 200))
        assert len(seen) == 1, "a batch was done in part"
        assert sure <= seen.pop() <= sure + unsure


def test_a_backend_that_is_ended_is_unavailable_and_back_at_once(shared, name):
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
        shared.query(name, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mongrey'")
        answer = poke("count 1 1")
        assert answer.status == "UNAVAILABLE" and "57P01" in answer.text, answer
        settle(poke)
        assert poke("count 1 1").number == 2


@pytest.mark.parametrize("command", ["count 1 1", "grey 0 500", "put a", "search", "revision", "purge", "tally"])
def test_a_server_that_stands_still_costs_no_more_than_the_time_outs(own, command):
    with Poke("pgsql", own.url("db")).up() as poke:
        assert poke("count 1 1").status == "OK"
        # A purge sends its commit along.
        expected = "UNCERTAIN" if command == "purge" else "UNAVAILABLE"
        # All of its processes: what answers is the session's own, not the first one.
        pids = [own.process.pid] + [int(p) for p in own.query("db", "select pid from pg_stat_activity").split()]
        subprocess.run(["kill", "-STOP", *map(str, pids)], check=False, capture_output=True)
        try:
            answer = poke(command)
            assert answer.status == expected, answer
            assert CALL <= answer.milliseconds <= MOST
            poke("detach")
            answer = poke("attach")
            assert answer.status == "UNAVAILABLE" and answer.milliseconds <= MOST, answer
        finally:
            subprocess.run(["kill", "-CONT", *map(str, pids)], check=False, capture_output=True)
        settle(poke)
        # A purge that was sent may have been done: just that its status says.
        assert poke("count 1 0").number in ((0, 1) if command == "purge" else (1,))


def test_a_lock_that_is_held_is_busy_and_the_session_lives(shared, name):
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
        holder = subprocess.Popen(
            ["psql", "-Xq", "-h", str(shared.folder), "-p", str(shared.port), "-U", "postgres", "-d", name, "-c",
             "begin; select 1 from greylist_counter for update; select pg_sleep(3.5)"], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        answer = poke("count 1 1")
        assert answer.status == "BUSY" and "57014" in answer.text and answer.milliseconds <= MOST, answer
        holder.wait()
        assert poke("count 1 1").number == 2


def test_a_wrong_password_is_denied_and_not_shown(shared, name):
    with Poke("pgsql", shared.url(name).replace(servers.QUOTED, "wrong-secret")) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "28P01" in answer.text, answer
        assert "wrong-secret" not in answer.text


def test_a_missing_database_is_named_with_the_way_to_make_it(shared):
    with Poke("pgsql", shared.url("nowhere")) as poke:
        answer = poke("open")
        assert answer.status == "INVALID" and "createdb" in answer.text and "nowhere" in answer.text, answer
    with Poke("pgsql", shared.url("nowhere"), read_only=True) as poke:
        assert poke("open").status == "UNAVAILABLE"


@pytest.mark.parametrize("parameters, word", [("?colour=red", "colour"), ("?client_encoding=LATIN1", "client_encoding"),
                                              ("?sslmode=perhaps", "sslmode"), ("?connect_timeout=x", "connect_timeout")])
def test_a_parameter_that_cannot_be_is_invalid(shared, name, parameters, word):
    with Poke("pgsql", shared.url(name, parameters)) as poke:
        answer = poke("open")
        assert answer.status == "INVALID" and word in answer.text, answer


def test_a_database_that_is_read_only_is_denied_and_takes_looks(shared, name):
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
    shared.query("postgres", f"alter database {name} set default_transaction_read_only = on")
    with Poke("pgsql", shared.url(name)).up() as poke:
        answer = poke("count 1 1")
        assert answer.status == "DENIED" and "25006" in answer.text, answer
        assert poke("put a").status == "DENIED"
        assert poke("count 1 0").number == 1


def test_a_store_that_turns_read_only_costs_the_session(shared, name):
    """As after a fail-over: the core attaches anew, until it meets the server that takes writes."""
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
        shared.query("postgres", f"alter database {name} set default_transaction_read_only = on")
        poke("detach")
        assert poke("attach").status == "OK"
        answer = poke("count 1 1")
        assert answer.status == "UNAVAILABLE" and "25006" in answer.text, answer
        shared.query("postgres", f"alter database {name} reset default_transaction_read_only")
        settle(poke)
        assert poke("count 1 1").number == 2


def test_a_role_without_rights_is_denied(shared, name):
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
        shared.query(name, "revoke insert, update, delete on greylist_counter from mongrey; "
                           "alter table greylist_counter owner to postgres")
        answer = poke("count 1 1")
        assert answer.status == "DENIED" and "42501" in answer.text, answer


def test_a_role_that_may_make_no_tables_is_told_what_it_needs(shared, name):
    shared.query(name, "revoke create on schema public from public; alter schema public owner to postgres")
    shared.query("postgres", f"alter database {name} owner to postgres")
    with Poke("pgsql", shared.url(name)) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "GRANT CREATE ON SCHEMA public" in answer.text, answer


def test_too_many_connections_are_unavailable(shared, name):
    shared.query("postgres", f"alter database {name} connection limit 1")
    with Poke("pgsql", shared.url(name)).up(), Poke("pgsql", shared.url(name)) as other:
        answer = other("open")
        assert answer.status == "UNAVAILABLE" and "53300" in answer.text, answer


def test_a_server_that_is_away_is_unavailable(shared):
    with Poke("pgsql", f"postgresql://mongrey@127.0.0.1:{place.free_port()}/db") as poke:
        assert poke("open").status == "UNAVAILABLE"


def test_the_second_host_is_taken_when_the_first_is_away(shared, name):
    first = f"127.0.0.1:{place.free_port()}"
    with Poke("pgsql", shared.url(name).replace("@127", f"@{first},127")).up() as poke:
        assert poke("count 1 1").number == 1


def test_a_full_disk_is_unavailable_and_mends_itself(own):
    """A tablespace on a file system of few megabytes."""
    small = own.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(small)], check=False,
                      capture_output=True).returncode:
        pytest.skip("a full disk: this machine mounts no tmpfs")
    try:
        (small / "space").mkdir()
        subprocess.run(["chown", "-R", own.user, str(small)], check=True)
        own.query("postgres", f"create tablespace small location '{small}/space'")
        own.query("postgres", "grant create on tablespace small to mongrey")
        own.query("postgres", "alter database db set default_tablespace = small")
        with Poke("pgsql", own.url("db")).up() as poke:
            done = 0
            for first in range(0, 1024 * 100, 1024):
                answer = poke(f"grey {first} 1024")
                if answer.status != "OK":
                    break
                done += 1
            assert answer.status == "UNAVAILABLE" and "53100" in answer.text, answer
            settle(poke)
            assert poke("tally").number == done * 1024
            subprocess.run(["mount", "-o", "remount,size=30m", str(small)], check=True)
            assert poke(f"grey {first} 1024").number == 1024
    finally:
        own.stop()
        subprocess.run(["umount", str(small)], check=False)


def test_an_older_schema_is_widened(shared, name):
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("put a").number == 1
    shared.query(name, "alter table thing drop column label; drop index greylist_entry_first_seen_key_idx")
    with Poke("pgsql", shared.url(name), read_only=True) as poke:
        assert poke("open").status == "UNAVAILABLE"
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("put a").number == 2
        assert poke("search").number == 1
    indexes = shared.query(name, "select count(*) from pg_indexes where indexdef like '%(first_seen NULLS FIRST, key)'"
                                 " or indexdef like '%(label NULLS FIRST, id)'")
    assert indexes == "2"


def test_a_newer_schema_is_refused_and_left_alone(shared, name):
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").status == "OK"
    shared.query(name, "update mongrey set value = 2 where name = 'schema'; alter table thing drop column label")
    with Poke("pgsql", shared.url(name)) as poke:
        answer = poke("open")
        assert answer.status == "SCHEMA" and "newer mongrey" in answer.text, answer
    assert shared.query(name, "select count(*) from information_schema.columns where table_name = 'thing' "
                              "and column_name = 'label'") == "0"


@pytest.mark.parametrize("foreign", ["create table mongrey (id int)", "create table mongrey (name text, value bigint)",
                                     "create table thing (id int primary key, version text)",
                                     "create table greylist_entry (id int)"])
def test_a_foreign_table_of_our_name_is_refused_and_left_alone(shared, name, foreign):
    shared.query(name, f"{foreign}; create table elsewhere (id int)")
    before = shared.query(name, "select table_name, column_name from information_schema.columns "
                                "where table_schema = 'public' order by 1, 2")
    with Poke("pgsql", shared.url(name)) as poke:
        answer = poke("open")
        assert answer.status in ("SCHEMA", "DENIED"), answer
    assert before == shared.query(name, "select table_name, column_name from information_schema.columns "
                                        "where table_schema = 'public' order by 1, 2")


def test_foreign_tables_beside_ours_are_no_trouble(shared, name):
    shared.query(name, "create table elsewhere (id int); create table counter (id int)")
    with Poke("pgsql", shared.url(name)).up() as poke:
        assert poke("count 1 1").number == 1


def test_five_processes_open_a_new_store_at_once(shared):
    for round_ in range(5):
        name = f"five{round_}"
        shared.make(name)
        pokes = [Poke("pgsql", shared.url(name), call=20000) for _ in range(5)]
        for poke in pokes:
            poke.say("open")
        assert [poke.listen().status for poke in pokes] == ["OK"] * 5
        for number, poke in enumerate(pokes, 1):
            assert poke("attach").status == "OK"
            assert poke("count 1 1").number == number
        for poke in pokes:
            poke.__exit__()
        shared.drop(name)


def test_a_wrong_certificate_authority_is_refused(shared, name, folder):
    made, _ = servers.certificate(folder, shared.user)
    right = shared.url(name, f"?sslmode=verify-full&sslrootcert={shared.folder}/server.crt")
    with Poke("pgsql", right).up() as poke:
        assert poke("count 1 1").number == 1
    with Poke("pgsql", shared.url(name, f"?sslmode=verify-full&sslrootcert={made}")) as poke:
        answer = poke("open")
        assert answer.status == "DENIED" and "certificate verify failed" in answer.text, answer
    with Poke("pgsql", shared.url(name, "?sslmode=verify-full&sslrootcert=/nowhere/ca.crt")) as poke:
        answer = poke("open")
        assert answer.status == "INVALID" and "root certificate" in answer.text, answer


def test_what_an_administrator_should_know_is_said_once(shared, name):
    shared.query("postgres", f"alter database {name} set synchronous_commit = off")
    with Poke("pgsql", shared.url(name)).up() as poke:
        poke("detach")
        assert poke("attach").status == "OK"
    assert sum("synchronous_commit" in line for line in poke.log) == 1


def test_a_database_of_another_encoding_is_refused(shared):
    shared.query("postgres", "create database latin owner mongrey template template0 encoding 'LATIN1' "
                             "lc_collate 'C' lc_ctype 'C'")
    with Poke("pgsql", shared.url("latin")) as poke:
        answer = poke("open")
        assert answer.status == "INVALID" and "LATIN1" in answer.text, answer
