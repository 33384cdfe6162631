"""The state directory lies on a network file system: nothing is lost or comes twice there, either.
(The file system only says so: see DISK_NETWORK in tests/fault/failing_disk.c.)"""
import os
import signal

import messages
import program
from program import CRASH_BINARY, compare
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_state import counts, state

NETWORK = {"LD_PRELOAD": os.path.join(program.BUILD, "fault", "failing_disk.so"),
           "DISK_NETWORK": "1"}


def uses_wal(home):
    """Offset 18 of an SQLite file: 2 with WAL, 1 without."""
    with open(home.file("state", "state.db"), "rb") as file:
        file.seek(18)
        return file.read(1) == b"\x02"


@case(each=PROTOCOLS)
def collecting(lab, home, protocol):
    """As anywhere, and it is said once to whoever looks, but not to cron."""
    mail = messages.sample(40)
    user = one_account(lab, home, protocol, mail, keep=False)
    result = home.run("poll", env=NETWORK)
    assert result.code == 0 and not result.err, result
    assert not uses_wal(home) and not os.path.exists(home.file("state", "state.db-wal"))
    compare(mail, home.letters(), protocol)
    assert not lab.left(user)
    more = messages.sample(3, first=3001)
    lab.fill(user, more)
    result = home.run("-v", "poll", env=NETWORK)
    assert result.err.count("lies on a network file system") == 1, result
    compare(mail + more, home.letters(), protocol)


@case()
def moved_there_and_back(lab, home):
    mail = messages.sample(10)
    user = one_account(lab, home, mail=mail)
    home.poll()
    assert uses_wal(home)
    for env, wal, number in ((NETWORK, False, 3001), ({}, True, 3101)):
        more = messages.sample(2, first=number)
        mail += more
        lab.fill(user, more)
        result = home.run("poll", env=env)
        assert result.code == 0 and uses_wal(home) == wal, result
        compare(mail, home.letters())
    assert counts(home) == {"delivered": 14}


@case(each=PROTOCOLS, deadline=180)
def killed_anywhere(lab, home, protocol):
    """At each point that a poll passes it dies, and the next one goes on."""
    user, listing = user_of(home), home.file("points")
    home.binary = CRASH_BINARY
    home.configure({"box": home.account(user, protocol, keep=False)})
    mail = messages.sample(4)
    lab.fill(user, mail)
    assert home.run("poll", env={**NETWORK, "MAILHAUL_CRASH_LIST": listing}).code == 0
    with open(listing, encoding="utf-8") as file:
        points = sorted(set(file.read().split()))
    assert len(points) > 10 and "state-before-commit" in points, points
    killed = 0
    for number, point in enumerate(points):
        more = messages.sample(3, first=1000 * (number + 1) + 1)
        mail += more
        lab.fill(user, more)
        killed += home.run("poll", "box", env={**NETWORK, "MAILHAUL_CRASH": point}
                           ).code == -signal.SIGKILL
        assert home.run("poll", "box", env=NETWORK).code == 0, point
        compare(mail, home.letters(), protocol)
        assert not lab.left(user), point
    assert killed > 10 and not uses_wal(home)
    state(home, "list")
