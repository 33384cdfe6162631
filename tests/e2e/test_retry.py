"""Letters that wait for an MDA: when they are tried again, when they are given up, and what cron hears.
Time does not pass: it is the state's that is moved back."""
import contextlib
import os
import sqlite3

import messages
from program import compare, read_maildir
from runner import case
from test_collect import PROTOCOLS
from test_disk import database
from test_mda import bodies_sent, got, KEEP, mda_account, set_up, spool

MINUTE, HOUR, DAY = 60, 3600, 86400
COUNTING = 'cat >/dev/null; echo x >>"$HOME/tries"; %s\n'


def later(home, seconds):
    """So much later, as far as the state can tell."""
    with contextlib.closing(sqlite3.connect(database(home))) as db, db:
        db.execute("UPDATE message SET taken = taken - ?1, changed = changed - ?1,"
                   " next_try = CASE next_try WHEN 0 THEN 0 ELSE next_try - ?1 END", (seconds,))
        for column in ("tried", "succeeded", "failing_since", "reported"):
            db.execute("UPDATE account SET %s = %s - ? WHERE %s > 0" % ((column,) * 3), (seconds,))


def tries(home):
    if not os.path.exists(home.file("tries")):
        return 0
    with open(home.file("tries")) as file:
        return len(file.readlines())


@case(deadline=120, each=PROTOCOLS)
def intervals_grow_for_five_days(lab, home, protocol):
    """At the next poll, after 5 and 15 minutes, an hour, then every four hours; then quarantine."""
    mail = messages.sample(1)
    user = set_up(lab, home, COUNTING % "exit 75", mail, protocol=protocol, keep=False)
    home.poll(code=75)
    assert tries(home) == 1
    home.poll(code=75)
    assert tries(home) == 2, "the first retry comes with the next poll"
    age, count = 0, 2
    for wait in (5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 4 * HOUR):
        later(home, wait - 30)
        home.poll(code=75)
        assert tries(home) == count, "tried 30 s too soon, at the age of %d s" % (age + wait - 30)
        later(home, 40)
        age += wait + 10
        count += 1
        home.poll(code=75)
        assert tries(home) == count, "not tried at the age of %d s" % age
    later(home, 5 * DAY - 3 * HOUR - age)
    home.poll(code=75)
    count += 1
    assert tries(home) == count and len(lab.left(user)) == 1
    later(home, 4 * HOUR + 10)
    result = home.poll(code=65)
    assert "quarantine" in result.err and tries(home) == count + 1, result
    compare(mail, read_maildir(home.file("state", "quarantine")), protocol)
    assert home.run("poll").code == 0 and tries(home) == count + 1
    assert len(lab.left(user)) == 1, "a quarantined message was removed"
    assert bodies_sent(lab, user) == 1, "fetched again"


@case()
def naming_the_account_tries_at_once(lab, home):
    set_up(lab, home, COUNTING % "exit 75", messages.sample(1))
    for _ in range(3):
        home.run("poll")
    assert tries(home) == 2
    for count in (3, 4):
        assert home.run("poll", "box").code == 75 and tries(home) == count


@case()
def what_waits_holds_up_no_new_mail(lab, home):
    """And is delivered when its time has come, without being fetched again."""
    mail = messages.sample(4)
    user = set_up(lab, home, COUNTING % "exit 75", mail[:1], keep=False)
    for _ in range(2):
        home.poll(code=75)
    home.configure({"box": mda_account(home, user, KEEP, keep=False)})
    lab.fill(user, mail[1:])
    home.poll(code=75)
    assert sorted(got(home)) == sorted(one.raw for one in mail[1:])
    later(home, 6 * MINUTE)
    home.poll()
    assert sorted(got(home)) == sorted(one.raw for one in mail) and not spool(home)
    assert bodies_sent(lab, user) == 4
    home.poll()
    assert not lab.left(user)


@case()
def cron_hears_of_a_wait_after_an_hour_and_once(lab, home):
    user = set_up(lab, home, COUNTING % "echo mailbox is full >&2; exit 75", messages.sample(1))
    quiet = []
    for wait in (0, 5 * MINUTE, 50 * MINUTE):
        later(home, wait) if wait else None
        quiet.append(home.poll(code=75))
    assert not any(result.out + result.err for result in quiet), quiet
    later(home, 10 * MINUTE)
    result = home.poll(code=75)
    assert "spool" in result.err, result
    later(home, 5 * HOUR)
    result = home.poll(code=75)
    assert not result.out + result.err, "told twice a day: %r" % result
    later(home, 20 * HOUR)
    assert home.poll(code=75).err, "a day later it is told again"
    home.configure({"box": mda_account(home, user, KEEP)})
    later(home, 5 * HOUR)
    result = home.poll()
    assert result.err.count("\n") == 1, "that it is over is told once: %r" % result
    result = home.poll()
    assert not result.out + result.err, result


@case()
def cron_hears_of_a_quarantine_once(lab, home):
    set_up(lab, home, COUNTING % "echo no such user >&2; exit 67", messages.sample(1),
           max_attempts=2)
    result = home.poll(code=75)
    assert not result.out + result.err, result
    result = home.poll(code=65)
    assert "no such user" in result.err and "quarantine" in result.err, result
    said = [home.poll() for _ in range(2)]
    assert not said[1].out + said[1].err and tries(home) == 2, said


@case(each=["78", "127"])
def cron_hears_of_a_broken_set_up_once_a_day(lab, home, code):
    mail = messages.sample(3)
    user = set_up(lab, home, COUNTING % ("exit " + code), mail)
    assert home.poll(code=78).err
    result = home.poll(code=78)
    assert not result.out + result.err and tries(home) == 2, result
    later(home, DAY)
    assert home.poll(code=78).err
    home.configure({"box": mda_account(home, user, KEEP)})
    result = home.poll()
    assert result.err, "that it is over is told"
    assert sorted(got(home)) == sorted(one.raw for one in mail)
    result = home.poll()
    assert not result.out + result.err, result
