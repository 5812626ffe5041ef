"""The SQLite store as somebody else's hand would fill it: records past mongrey, each change moving the revision."""

import hashlib
import itertools
import shutil
import sqlite3

from lib import place
from lib.daemon import run_command

FILE = "mongrey.db"
_made = []  # a store that has its tables and nothing in them


def empty_store():
    """The bytes' place of a store as mongrey itself makes it."""
    if not _made:
        folder = place.new_folder()
        done = run_command(folder, "check", "--record", "--request", "client_address=10.0.0.1, recipient=a@b.test")
        assert done.returncode == 0, done.stderr
        with sqlite3.connect(folder / FILE) as store:  # nothing is left in the journal
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.close()
        _made.append((folder / FILE).read_bytes())
        shutil.rmtree(folder)
    return _made[0]


def entry(text):
    """A list's entry from `FIELD VALUE`."""
    field, _, value = text.partition(" ")
    return {"field_name": field, "value": value}


class Store:
    """The store in a folder; made where there is none. Records are dictionaries of their columns (None: not set)."""

    def __init__(self, folder):
        self.path = folder / FILE
        if not self.path.exists():
            self.path.write_bytes(empty_store())
        self.serial = itertools.count(1)

    def change(self, *statements):
        """Runs (SQL, values) in one transaction that moves the revision, as the driver does."""
        store = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            store.execute("BEGIN IMMEDIATE")
            for sql, values in statements:
                store.execute(sql, values)
            store.execute("UPDATE mongrey SET value = value + 1 WHERE name = 'revision'")
            store.execute("COMMIT")
        finally:
            store.close()

    def insertion(self, kind, record):
        record = entry(record) if isinstance(record, str) and kind in ("whitelist", "blacklist") else record
        if isinstance(record, str):
            record = {"value" if kind == "mynetwork" else "name": record}
        record = dict(record)
        record.setdefault("id", f"{kind}{next(self.serial):08d}")
        if kind in ("whitelist", "blacklist"):
            record.setdefault("slug", f"{record['field_name']}:{record['value']}")
        record = {name: {True: 1, False: 0}.get(value, value) if isinstance(value, bool) else value
                  for name, value in record.items()}
        names = ["version", *record]
        sql = f"INSERT INTO {kind} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        return record["id"], (sql, [1, *record.values()])

    def add(self, kind, record):
        """Returns the record's id."""
        made, statement = self.insertion(kind, record)
        self.change(statement)
        return made

    def fill(self, records):
        """records: for each kind a list. All of it is one change."""
        self.change(*(self.insertion(kind, record)[1] for kind, many in records.items() for record in many))

    def set(self, kind, record_id, **columns):
        names = ", ".join(f"{name} = ?" for name in columns)
        self.change((f"UPDATE {kind} SET version = version + 1, {names} WHERE id = ?", [*columns.values(), record_id]))

    def remove(self, kind, record_id):
        self.change((f"DELETE FROM {kind} WHERE id = ?", [record_id]))

    def look(self, sql, *values):
        """Read-only, so that a look changes nothing."""
        store = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)
        try:
            return store.execute(sql, values).fetchall()
        finally:
            store.close()

    def hits(self, kind, record_id):
        """How often an entry was met, and when last (seconds); data/hits.c names the counter."""
        key = hashlib.blake2b(f"hits {kind} {record_id}".encode(), digest_size=16).digest()
        found = self.look("SELECT count, last_seen FROM greylist_counter WHERE key = ?", key)
        return (found[0][0], found[0][1] // 1000) if found else (0, None)

    def keys(self):
        """How many rows the greylist holds."""
        return self.look("SELECT count(*) FROM greylist_entry")[0][0]
