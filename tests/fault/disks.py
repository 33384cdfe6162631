#!/usr/bin/python3
"""A disk that fails under mailhaul, one call after the other: nothing is lost, nothing is doubled in
a Maildir, an MDA sees at most the one letter again that was in its hands, what failed is said, and
what could not be flushed is never trusted.

failing_disk.c counts the calls of an undisturbed poll; then the Nth of them fails: once with EIO, or
from there on as on a full disk, one that is over its quota, or one that has died; or another program
takes the file away. The next poll fails half-way there, and the one after that, on a good disk, must
bring the rest. Of the Ns the first, the middle and the last count, and each SAMPLEth of those is run;
MAILHAUL_FULL=1 runs every N. disks.py [WORD...] runs the cases whose names hold one of the words.
"""
import collections
import errno
import os
import shutil
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402

FULL = bool(os.environ.get("MAILHAUL_FULL"))
SAMPLE = 1 if FULL else 11
MDA = 'f=$(mktemp "$HOME/part/XXXXXX") && cat >"$f" || exit 75\n' \
      '[ -e "$HOME/picky" ] && grep -q "^Subject: message 3$" "$f" && { rm "$f"; exit 67; }\n' \
      'mv "$f" "$HOME/got/"\n'

# What a poll comes upon: a new state and Maildir; those of an earlier poll; letters that a poll
# left taken or handed when it was killed; more letters than are flushed one by one; one that goes
# into the quarantine.
Scene = collections.namedtuple("Scene", "name count killed_at")
SCENES = {"maildir": [Scene("new", 3, None), Scene("known", 3, None),
                      Scene("recovery", 3, "maildir-place"), Scene("many", 36, None)],
          "mda": [Scene("new", 3, None), Scene("known", 3, None),
                  Scene("recovery", 3, "hand-handed"), Scene("many", 34, None),
                  Scene("picky", 4, None)]}

# How the disk fails: kinds of calls, errno, and whether it stays so.
Fault = collections.namedtuple("Fault", "name kinds errno stays")
ONCE = [Fault("%s fails" % kind, kind, errno.EIO, False) for kind in (
    "write", "flush", "make", "rewrite", "open", "read", "list", "stat", "mkdir", "move", "unlink", "size",
    "close")]
SPACE = "write,make,mkdir,move,size"
EVERYTHING = SPACE + ",flush,rewrite,open,read,list,stat,unlink,close"
LASTING = [Fault("full", SPACE, errno.ENOSPC, True), Fault("quota", SPACE, errno.EDQUOT, True),
           Fault("full at the flush", "flush", errno.ENOSPC, True),
           Fault("dead", EVERYTHING, errno.EIO, True),
           Fault("read-only", "write,make,rewrite,mkdir,move,size,unlink", errno.EROFS, True)]
VANISHES = [Fault("vanishes", "move", 0, False), Fault("vanishes when read", "open", 0, False)]
LETTERS = ("Maildir/tmp", "state/spool")
AREAS = ("Maildir/tmp", "Maildir", "state/spool", "state/quarantine", "state/state.db", "state")


class Visit:
    """A mailbox, a configuration, and what became of its messages."""

    def __init__(self, lab, home, protocol, delivery, scene):
        import messages
        import program
        self.lab, self.home, self.scene, self.delivery = lab, home, scene, delivery
        self.user = os.path.basename(home.path)
        self.mail, self.doubled = [], 0
        for name in ("part", "got"):
            os.makedirs(home.file(name))
        deliver = {"maildir": home.file("Maildir")} if delivery == "maildir" else \
            {"mda": [home.script("mda", MDA)]}
        home.configure({"box": home.account(self.user, protocol, keep=False, auth="plain",
                                            max_attempts=1, deliver=deliver)})
        if scene.name in ("known", "many"):
            self.fill(messages.sample(1, first=501))
            result = home.run("poll", "box")
            assert result.code == 0, result
        self.fill(messages.sample(scene.count))
        if scene.killed_at:
            home.binary = program.CRASH_BINARY
            result = home.run("poll", "box", env={"MAILHAUL_CRASH": scene.killed_at})
            assert result.code == -signal.SIGKILL, result
            home.binary = program.BINARY
            self.doubled = int(delivery == "mda")
        if scene.name == "picky":
            home.write("picky", "")

    def fill(self, mail):
        self.lab.fill(self.user, mail)
        self.mail += mail

    def poll(self, log, fault=None, area="", number=0):
        import program
        env = {"LD_PRELOAD": os.path.join(program.BUILD, "fault", "failing_disk.so"),
               "DISK_TOP": self.home.path + "/", "DISK_LOG": self.home.file(log)}
        env["ASAN_OPTIONS"] = self.home.env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        if fault:
            env.update(DISK_FAIL=fault.kinds, DISK_UNDER=self.home.file(area),
                       DISK_NTH=str(number), DISK_ERRNO=str(fault.errno),
                       DISK_STAYS="1" if fault.stays else "0")
        return self.home.run("-v", "poll", "box", env=env)

    def calls(self, log):
        """(kind, path below the home, failed) of each call."""
        found = []
        with open(self.home.file(log)) as file:
            for line in file:
                kind, _, path = line.rstrip("\n").partition(" ")
                found.append((kind.lstrip("!"), path.replace(self.home.path + "/", ""),
                              line[0] == "!"))
        return found

    def arrived(self):
        from program import Letter, read_maildir
        found = read_maildir(self.home.file("state", "quarantine"))
        if self.delivery == "maildir":
            return found + read_maildir(self.home.file("Maildir"))
        return found + [Letter(self.home.file("got", name))
                        for name in os.listdir(self.home.file("got"))]

    def on_server(self):
        return {int(name.split(".M")[1].split(".")[0]) for name in self.lab.left(self.user)}

    def check_nothing_lost(self):
        left, bodies = self.on_server(), {letter.message for letter in self.arrived()}
        for one in self.mail:
            assert one.number in left or one.raw in bodies, \
                "message %d is neither on the server nor here" % one.number

    def finish(self):
        from program import compare
        said = ""
        for _ in range(2):
            result = self.home.run("-v", "poll", "box")
            said += result.err
            quarantined = "quarantine" in result.err and self.scene.name == "picky"
            assert result.code == 0 or result.code == 65 and quarantined, \
                "on a good disk: %r" % result
        arrived = self.arrived()
        compare(self.mail, arrived, doubled=self.doubled)
        left = self.on_server()
        assert left == ({3} if self.scene.name == "picky" else set()), "left: %s" % left
        for place in ("Maildir/tmp", "state/spool", "state/quarantine/tmp"):
            names = os.listdir(self.home.file(place)) if os.path.isdir(
                self.home.file(place)) else []
            assert not names, "letters were left in %s: %s" % (place, names)
        return said, len(arrived) - len(self.mail)


def check_flush_is_final(calls):
    """What a failed flush covered, alone or with its directory, is neither flushed again, nor put in
    place, nor handed over."""
    waiting, failed = set(), set()
    for kind, path, bad in calls:
        place, name = os.path.split(path.split(" to ")[0])
        if name in failed:
            assert kind in ("unlink", "close"), "%s of a letter whose flush failed" % kind
        elif kind == "flush" and bad:
            failed |= waiting if path in LETTERS else {name} & waiting
        elif kind == "make" and place in LETTERS:
            waiting.add(name)
        elif kind in ("move", "open"):
            waiting.discard(name)


def check_result(visit, result, fault, area):
    waits = result.code == 75 and area == "state/spool"
    assert result.code in (0, 65, 73, 74) or waits, result
    if result.code == 0:
        assert len(visit.arrived()) >= len(visit.mail), "exit 0, and mail did not come: %r" % result
    elif fault.errno and result.code != 65:
        assert os.strerror(fault.errno) in result.err or "state file" in result.err, \
            "%s is not in %r" % (os.strerror(fault.errno), result)


def disturb(lab, home, protocol, delivery, scene, fault, area, number):
    visit, said = Visit(lab, home, protocol, delivery, scene), ""
    for log, at in (("log", number), ("again", (number + 1) // 2)):
        result = visit.poll(log, fault, area, at)
        calls = visit.calls(log)
        visit.check_nothing_lost()
        check_flush_is_final(calls)
        hit = any(failed for _, _, failed in calls)
        assert hit or result.code in (0, 65), "the disk was good: %r" % result
        check_result(visit, result, fault, area)
        visit.doubled += hit and delivery == "mda"
        said += result.err
    more, doubled = visit.finish()
    assert not doubled or "may arrive twice" in said + more, "doubled, and not said: " + said + more
    shutil.rmtree(home.path)
    lab.empty(visit.user)


def area_of(path):
    return next((area for area in AREAS if path.startswith(area)), None)


def points_of(lab, protocol, delivery, scene):
    """The calls of an undisturbed poll."""
    import program
    home = program.Home(lab, lab.file("homes", "calls-%s-%s-%s" % (protocol, delivery, scene.name)))
    visit = Visit(lab, home, protocol, delivery, scene)
    result = visit.poll("log")
    assert result.code in ((65,) if scene.name == "picky" else (0,)), result
    calls = visit.calls("log")
    visit.finish()
    return calls


def numbers(count):
    return range(1, count + 1) if FULL else sorted({1, (count + 1) // 2, count})


def choose(calls, fault):
    """(area, N) for each call that is to fail, counted as failing_disk counts them."""
    kinds = fault.kinds.split(",")
    for area in AREAS if fault.errno else LETTERS:
        here = [path for kind, path, _ in calls if kind in kinds and path.startswith(area)]
        mine = [at for at, path in enumerate(here, 1) if area_of(path) == area]
        for at in numbers(len(mine)):
            if mine:
                yield area, mine[at - 1]


def make_cases(lab):
    import runner
    for protocol in ("imap", "pop3"):
        for delivery, scenes in SCENES.items():
            for scene in scenes:
                calls = points_of(lab, protocol, delivery, scene)
                for fault in ONCE + LASTING + VANISHES:
                    for area, number in choose(calls, fault):
                        name = "disk: %s, %s, %s, %s, %s %d" % (
                            protocol, delivery, scene.name, fault.name, area, number)
                        runner.CASES.append(runner.Case(
                            name, lambda lab, home, a=(protocol, delivery, scene, fault, area,
                                                       number): disturb(lab, home, *a), 90))
    runner.CASES[:] = runner.CASES[::SAMPLE]


def main():
    user.prefer_memory()
    user.continue_unprivileged()
    import runner
    runner.main("disks", make_cases, at_once=8 if FULL else 4)


if __name__ == "__main__":
    main()
