#!/usr/bin/python3
"""Kills mailhaul and counts: nothing lost, nothing doubled in the Maildir, nothing removed from a
server that was not delivered; an MDA may see the one letter again that was in its hands.

The test build dies at named points (include/util/crash.h): each that a visit passes, at its first,
middle and last visit, and once more while it recovers from that. Then it is killed at random
moments. crash.py [WORD...] runs the cases whose names hold one of the words.
"""
import collections
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402

RANDOM_KILLS = {"maildir": 11, "mda": 3}  # for each protocol and keep
RANDOM_KILLS_MORE = 3  # for each of the ways that are added below
SEED = 20_201
MDA = 'f=$(mktemp "$HOME/part/XXXXXX") && cat >"$f" && mv "$f" "$HOME/got/"\n'

# anew: half of the mail was delivered, then the server numbers its messages anew.
Way = collections.namedtuple("Way", "protocol keep delivery anew")
USUAL = [Way(protocol, keep, delivery, False) for protocol in ("imap", "pop3")
         for keep in (True, False) for delivery in ("maildir", "mda")]
WAYS = USUAL + [Way("imap", "1d", "maildir", False), Way("pop3", "1d", "maildir", False),
                Way("imap", False, "maildir", True), Way("pop3", True, "maildir", True)]


def label(way):
    return "%s, keep: %s, %s%s" % (way.protocol, str(way.keep).lower(), way.delivery,
                                   ", anew" if way.anew else "")


class Visit:
    """One mailbox, one configuration, and what became of its messages."""

    def __init__(self, lab, home, way, count):
        import messages
        import program
        self.lab, self.home, self.way, self.killed = lab, home, way, 0
        home.binary = program.CRASH_BINARY
        self.user = os.path.basename(home.path)
        self.mail = messages.sample(count)
        lab.fill(self.user, self.mail[:count // 2] if way.anew else self.mail)
        for name in ("part", "got"):
            os.makedirs(home.file(name), exist_ok=True)
        deliver = {"maildir": home.file("Maildir")} if way.delivery == "maildir" else \
            {"mda": [home.script("mda", MDA)]}
        self.configure(True if way.anew else way.keep, deliver)
        if way.anew:
            self.number_anew(count, deliver)

    def configure(self, keep, deliver):
        self.home.configure({"box": self.home.account(self.user, self.way.protocol, keep=keep,
                                                      auth="plain", deliver=deliver)})

    def number_anew(self, count, deliver):
        """UIDVALIDITY is the second in which Dovecot made the mailbox; UIDLs hold it, too."""
        assert self.poll().code == 0
        time.sleep(1.01)
        path = self.lab.mailbox(self.user)
        for name in os.listdir(path):
            if name.startswith("dovecot"):
                os.remove(os.path.join(path, name))
        self.lab.fill(self.user, self.mail[count // 2:])
        self.configure(self.way.keep, deliver)

    def age(self):
        """A day goes by: what was delivered is due. (There may be no state yet.)"""
        import memory
        if self.way.keep != "1d" or not os.path.exists(self.home.file("state", "state.db")):
            return
        with contextlib.suppress(sqlite3.OperationalError):
            memory.change(self.home, "UPDATE message SET taken = taken - ?1, changed = "
                          "changed - ?1 WHERE state = ?2", 2 * memory.DAY, memory.DELIVERED)

    def poll(self, point=None, listing=None):
        env = {}
        self.age()
        if point:
            env["MAILHAUL_CRASH"] = point
        if listing:
            env["MAILHAUL_CRASH_LIST"] = listing
        result = self.home.run("poll", "box", env=env)
        if result.code == -signal.SIGKILL:
            self.killed += 1
            self.check_nothing_lost()
        return result

    def poll_killed_after(self, seconds):
        """Polls, and kills it after so long, unless it ended before."""
        self.age()
        process = self.home.start("poll", "box", stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        if process.poll() is None:
            process.kill()
            self.killed += 1
        process.wait()
        self.check_nothing_lost()

    def arrived(self):
        from program import Letter, read_maildir
        if self.way.delivery == "maildir":
            return read_maildir(self.home.file("Maildir"))
        got = self.home.file("got")
        return [Letter(os.path.join(got, name)) for name in os.listdir(got)]

    def check_nothing_lost(self):
        """Right after a death: what is not on the server any more must have arrived."""
        on_server = {int(name.split(".M")[1].split(".")[0])
                     for name in self.lab.left(self.user)}
        bodies = {letter.message for letter in self.arrived()}
        for one in self.mail:
            assert one.number in on_server or one.raw in bodies, \
                "message %d is neither on the server nor here" % one.number
        if self.way.keep is True:
            assert len(on_server) == len(self.mail), "keep: true removed mail"

    def finish(self):
        """Undisturbed, everything must have arrived."""
        from program import compare, unfinished
        for _ in range(3 if self.way.keep == "1d" else 2):
            result = self.poll()
            assert result.code == 0, "after %d kills: %r" % (self.killed, result)
        time.sleep(0.05)
        compare(self.mail, self.arrived(),
                doubled=self.killed if self.way.delivery == "mda" else 0)
        if self.way.keep is not True:
            assert not self.lab.left(self.user), "left on the server: %d" % len(
                self.lab.left(self.user))
        if self.way.delivery == "maildir":
            assert not unfinished(self.home.file("Maildir")), "letters were left in tmp/"
        shutil.rmtree(self.home.path)
        self.lab.empty(self.user)


FEW, MANY = 12, 400


def points_of(lab, way):
    """How often an undisturbed visit, or the one after it, passes each point."""
    import program
    home = program.Home(lab, lab.file("homes", "list-%d" % WAYS.index(way)))
    visit = Visit(lab, home, way, FEW)
    counts = collections.Counter()
    for number in range(2):
        listing = home.file("points-%d" % number)
        result = visit.poll(listing=listing)
        assert result.code == 0, "without any crash: %r" % result
        with open(listing) as file:
            counts |= collections.Counter(file.read().split())
    visit.finish()
    return counts


def crash(lab, home, way, point):
    visit = Visit(lab, home, way, FEW)
    for _ in range(3):
        if visit.poll(point).code == -signal.SIGKILL:
            break
    # How many batches there are depends on the clock, so a later visit may not come again.
    assert visit.killed or not point.endswith(":1"), "it did not die at %s" % point
    visit.poll(point.split(":")[0])
    visit.finish()


def random_kill(lab, home, way, number, seconds):
    rnd = random.Random(SEED + 1000 * WAYS.index(way) + number)
    visit = Visit(lab, home, way, MANY)
    for _ in range(rnd.randint(1, 3)):
        visit.poll_killed_after(rnd.uniform(0, seconds))
    visit.finish()


def how_long(lab, way):
    import program
    home = program.Home(lab, lab.file("homes", "time-%d" % WAYS.index(way)))
    visit = Visit(lab, home, way, MANY)
    result = visit.poll()
    assert result.code == 0, "without any crash: %r" % result
    visit.finish()
    return result.seconds


def make_cases(lab):
    import runner
    for way in WAYS:
        counts = points_of(lab, way)
        assert counts, "the test build passes no crash point"
        for point, visits in sorted(counts.items()):
            for visit in sorted({1, (visits + 1) // 2, visits} if way in USUAL else {1}):
                where = "%s:%d" % (point, visit)
                runner.CASES.append(runner.Case(
                    "crash %s at %s" % (label(way), where),
                    lambda lab, home, w=way, p=where: crash(lab, home, w, p), 90))
    for way in WAYS:
        seconds = how_long(lab, way)
        for number in range(RANDOM_KILLS[way.delivery] if way in USUAL else RANDOM_KILLS_MORE):
            runner.CASES.append(runner.Case(
                "random kill %s, %d" % (label(way), number + 1),
                lambda lab, home, w=way, n=number, s=seconds: random_kill(lab, home, w, n, s),
                120))


def main():
    user.continue_unprivileged()
    import runner
    runner.main("crash", make_cases, at_once=3)


if __name__ == "__main__":
    main()
