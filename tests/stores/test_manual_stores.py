"""The manual's page on stores: what it tells the administrator of a database to type is typed, and mongrey then works."""

import re

import pytest

from lib import place, servers
from lib.daemon import run_command

BLOCK = re.compile(r"```(sql|text url) (pgsql|mysql)\n(.*?)```", re.DOTALL)
REQUEST = "client_address=192.0.2.1, sender=alice@example.net, recipient=bob@example.org"


def blocks(language):
    text = (place.REPOSITORY / f"docs/manual/{language}/stores.md").read_text()
    return {(kind, store): body.strip() for kind, store, body in BLOCK.findall(text)}


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("store, kind, user", [("pgsql", servers.Postgres, "mongrey"),
                                               ("mysql", servers.MariaDB, "mongrey@'127.0.0.1'")])
def test_what_the_administrator_types_is_enough(language, store, kind, user, folder):
    if servers.can(kind):
        pytest.skip(servers.can(kind))
    typed = blocks(language)
    with kind() as server:
        administrator = "postgres" if store == "pgsql" else ""
        server.query(administrator, f"drop {'role' if store == 'pgsql' else 'user'} {user}")
        for statement in filter(str.strip, typed["sql", store].split(";")):
            server.query(administrator, statement)
        url = typed["text url", store].replace("@127.0.0.1/", f"@127.0.0.1:{server.port}/")
        asked = [run_command(folder, "check", "--record", "--request", REQUEST, environment={"MONGREY_DB": url})
                 for _ in range(2)]
        assert [(done.returncode, done.stdout[:15]) for done in asked] == [(0, "450 4.2.0 Greyl")] * 2, asked
        assert server.query("mongrey", "select tries from greylist_entry") == "2"
