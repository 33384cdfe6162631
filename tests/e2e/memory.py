"""What mailhaul remembers, looked at and aged by a test: its state is an SQLite file."""
import contextlib
import os
import sqlite3
import time

DAY = 24 * 60 * 60
DELIVERED, REMOVED, SKIPPED, OVERSIZE = 3, 4, 5, 8


@contextlib.contextmanager
def opened(home):
    with contextlib.closing(sqlite3.connect(home.file("state", "state.db"))) as db, db:
        yield db


def rows(home, columns="key", where="1"):
    with opened(home) as db:
        return db.execute("SELECT %s FROM message WHERE %s" % (columns, where)).fetchall()


def count(home, where="1"):
    return rows(home, "count(*)", where)[0][0]


def change(home, statement, *values):
    with opened(home) as db:
        return db.execute(statement, values).rowcount


def age(home, letters, days):
    """These letters were delivered so long ago."""
    then = int(time.time()) - days * DAY
    for letter in letters:
        name = os.path.basename(letter.path).partition(":")[0]
        assert change(home, "UPDATE message SET taken = ?1, changed = ?1 WHERE name = ?2", then,
                      name) == 1, "no row for " + name
