"""What is told of accounts without asking them: today's mail, figures for Prometheus, a command that
is run when something fails, and how often the log says it."""
import contextlib
import re
import sqlite3

import messages
from runner import case
from test_collect import one_account
from test_disk import database


def change(home, sql, *values):
    with contextlib.closing(sqlite3.connect(database(home))) as db, db:
        db.execute(sql, values)


# ---- today ---------------------------------------------------------------------------------------

@case(each=["imap", "pop3"])
def status_tells_of_today(lab, home, protocol):
    mail = messages.sample(5)
    user = one_account(lab, home, protocol, mail)
    one, = home.run("--json", "status").json
    assert (one["today_messages"], one["today_octets"]) == (0, 0), one
    assert "TODAY" not in home.run("status").out
    home.poll()
    lab.fill(user, messages.sample(2, first=100))
    home.poll()
    home.poll()
    one, = home.run("--json", "status").json
    octets = sum(len(letter.message) for letter in home.letters())
    assert one["messages"] == 0 and one["today_messages"] == 7, one
    assert abs(one["today_octets"] - octets) < octets / 2 and one["today_octets"] > 0, (one, octets)
    assert re.search(r"TODAY.*\n.* 7, [0-9.]+ [kM]?B", home.run("status").out), home.run("status").out
    change(home, "UPDATE account SET today = today - 1")
    one, = home.run("--json", "status").json
    assert (one["today_messages"], one["today_octets"]) == (0, 0), one
    assert "TODAY" not in home.run("status").out
    lab.fill(user, messages.sample(1, first=200))
    home.poll()
    one, = home.run("--json", "status").json
    assert one["today_messages"] == 1, one
