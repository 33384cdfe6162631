#!/usr/bin/python3
"""Kills mailhaul, or cuts its power, and counts: nothing lost, nothing doubled in the Maildir, nothing
removed from a server that was not delivered; an MDA may see the one letter again that was in its
hands, and the log says so.

The test build dies at named points (include/util/crash.h): each that a visit passes, at its first,
middle and last visit, and every time where a command is sent or answered; and once more while it
recovers from that. At each, only the process dies; or the power is cut, too, and what was not flushed
is gone (power_cut.c), or what chance will have of it. Then two deaths in a row at each pair of
points, of which the second is one that the run after the first death passes; deaths at random
moments; and connections that are cut at random octets.

crash.py [WORD...] runs the cases whose names hold one of the words. A part of them is run, all with
MAILHAUL_FULL=1; then it must have died at every point that the program has. At the end stands the
table of what was run.
"""
import collections
import contextlib
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402
from crash_visit import CUT, KILL, MIX, Visit, Way, accounted, label, points_in, table  # noqa: E402

FULL = bool(os.environ.get("MAILHAUL_FULL"))
SEED = 20_201

USUAL = [Way(protocol, keep, delivery, "") for protocol in ("imap", "pop3")
         for keep in (True, False, "1d") for delivery in ("maildir", "mda")]
WAYS = USUAL + [Way("imap", False, "maildir", "anew"), Way("pop3", True, "maildir", "anew"),
                Way("imap", False, "maildir", "old"), Way("pop3", True, "mda", "old"),
                Way("imap", False, "maildir", "looked"), Way("imap", True, "maildir", "damaged"),
                Way("pop3", True, "maildir", "damaged"),
                Way("imap", False, "mda", "picky"), Way("pop3", "1d", "mda", "picky"),
                Way("imap", "1d", "mda", "dropped"), Way("pop3", False, "mda", "dropped"),
                Way("imap", False, "maildir", "many"), Way("pop3", True, "mda", "many"),
                Way("imap", False, "maildir", "network"), Way("pop3", "1d", "mda", "network")]
EACH_TIME = ("session-send", "session-sent", "session-answered")

# Messages in a mailbox: for one death at a point, for two, and for the scene "many".
FEW, FEWER, SOME = 12, 3, 36
# And for a death at a random moment.
MANY = {"maildir": 400, "mda": 80}

# What follows the first death of a pair, and the second: a pair sees one of these, a point all.
PAIRS = ((KILL, KILL), (KILL, CUT), (CUT, CUT), (MIX, MIX))

RANDOM_DEATHS, CUT_CONNECTIONS = 10, 15  # for each way, and each KIND of death
KINDS = (KILL, CUT, MIX)

# How many cases of each sort "make check" runs.
SAMPLE = {"point": 170, "pair": 12, "random": 24, "connection": 20}
PAIRS_SAMPLE = 5  # of the second points of a pair's case


def count_of(way, usual):
    """Few messages that are numbered anew are not taken for that where the protocol is POP3."""
    return {"many": SOME, "anew": FEW}.get(way.scene, usual)


def new_visit(lab, name, way, count, seed=0):
    import program
    return Visit(lab, program.Home(lab, lab.file("homes", name)), way, count, seed)


def points_of(lab, way):
    """How often the runs of undisturbed visits pass each point."""
    visit = new_visit(lab, "list-%d" % WAYS.index(way), way, count_of(way, FEW))
    counts = collections.Counter()
    for number in range(2):
        listing = visit.home.file("points-%d" % number)
        assert not visit.poll(listing=listing)
        with open(listing) as file:
            counts |= collections.Counter(file.read().split())
    visit.finish()
    return counts


def die_at(visit, point, how):
    """Some points are passed by a later visit only."""
    return any(visit.poll(point, how=how) for _ in range(3))


def at_point(lab, home, way, point, how):
    with accounted(Visit(lab, home, way, count_of(way, FEW), point)) as visit:
        # How many batches there are depends on the clock, so a later visit may not come again.
        assert die_at(visit, point, how) or not point.endswith(":1"), "it did not die at " + point
        visit.poll(point.split(":")[0], how=how)


def passed_after(lab, way, first, how, number):
    """The points that a run passes after a death at the first."""
    visit = new_visit(lab, "after-%d-%d" % (number, KINDS.index(how)), way,
                      count_of(way, FEWER), first)
    assert die_at(visit, first, how), "it did not die at " + first
    listing = visit.home.file("points")
    visit.poll(listing=listing)
    with open(listing) as file:
        passed = set(file.read().split())
    visit.remove()
    return passed


def at_pairs(lab, way, first, number):
    """Two deaths in a row: at the first point, and at each that the run passes after that."""
    passed = {how: passed_after(lab, way, first, how, number) for how in KINDS}
    seconds, failed = sorted(set().union(*passed.values())), []
    if not FULL:
        seconds = random.Random(number).sample(seconds, min(PAIRS_SAMPLE, len(seconds)))
    for at, second in enumerate(seconds):
        turn = (number + at) % len(PAIRS)
        how = next(pair for pair in PAIRS[turn:] + PAIRS[:turn] if second in passed[pair[0]])
        visit = new_visit(lab, "pair-%d-%d" % (number, at), way, count_of(way, FEWER),
                          "%s %s" % (first, second))
        try:
            with accounted(visit):
                die_at(visit, first, how[0])
                # What chance leaves is another thing each time.
                assert die_at(visit, second, how[1]) or MIX in how, "it did not die again"
        except AssertionError as error:
            failed.append("%s, then %s at %s: %s" % (*how, second, error))
    assert not failed, "%d of %d pairs: %s" % (len(failed), len(seconds), "\n".join(failed[:3]))


def at_random(lab, home, way, number, how, seconds):
    chance = random.Random("%s %s %d" % (SEED, label(way), number))
    with accounted(Visit(lab, home, way, MANY[way.delivery], number)) as visit:
        for _ in range(chance.randint(1, 3)):
            visit.poll_killed_after(chance.uniform(0, seconds), how)


def connection_cut(lab, home, way, number, octets):
    from cutter import Cutter
    from lab import HOST
    chance = random.Random("%s %s %d" % (SEED, label(way), number))
    with accounted(Visit(lab, home, way, count_of(way, FEW), number)) as visit:
        for _ in range(2):
            with Cutter(HOST, lab.ports[way.protocol], chance.randint(1, octets)) as cutter:
                visit.poll_through(cutter)


def measure(lab, way):
    """Seconds that a poll of many takes, and octets that a poll of a few exchanges."""
    from cutter import Cutter
    from lab import HOST
    import time
    number = WAYS.index(way)
    visit = new_visit(lab, "time-%d" % number, way, MANY[way.delivery])
    began = time.monotonic()
    visit.poll(how=KILL)
    seconds = time.monotonic() - began
    visit.finish()
    visit = new_visit(lab, "octets-%d" % number, way, count_of(way, FEW))
    with Cutter(HOST, lab.ports[way.protocol]) as cutter:
        assert visit.poll_through(cutter).code == 0
    visit.finish()
    return seconds, cutter.passed


# ---- cases ---------------------------------------------------------------------------------------


def visits_of(point, visits):
    if point in EACH_TIME:
        return range(1, visits + 1)
    return sorted({1, (visits + 1) // 2, visits})


def point_cases(points):
    for way, counts in points.items():
        for point, visits in sorted(counts.items()):
            for visit in visits_of(point, visits) if way in USUAL else (1,):
                where = "%s:%d" % (point, visit)
                for how in KINDS:
                    yield ("%s %s at %s" % (how, label(way), where), 120,
                           lambda lab, home, w=way, p=where, h=how: at_point(lab, home, w, p, h))


def pair_cases(points):
    firsts = [(way, first) for way, counts in points.items() for first in sorted(counts)]
    for number, (way, first) in enumerate(firsts):
        yield ("pairs %s at %s" % (label(way), first), 900,
               lambda lab, home, w=way, f=first, n=number: at_pairs(lab, w, f, n))


def random_cases(measured):
    for number in range(RANDOM_DEATHS):
        for way in WAYS:
            for how in KINDS:
                seconds = measured[way.protocol, way.delivery][0]
                if way.scene in ("", "anew"):
                    yield ("random %s %s, %d" % (how, label(way), number + 1), 180,
                           lambda lab, home, w=way, n=number, h=how, s=seconds:
                           at_random(lab, home, w, n, h, s))


def connection_cases(measured):
    for number in range(CUT_CONNECTIONS):
        for way in WAYS:
            octets = measured[way.protocol, way.delivery][1]
            if way.scene != "damaged":
                yield ("connection cut %s, %d" % (label(way), number + 1), 180,
                       lambda lab, home, w=way, n=number, o=octets:
                       connection_cut(lab, home, w, n, o))


def sample(sort, cases):
    """So many of them, spread over all."""
    cases = list(cases)
    if FULL or len(cases) <= SAMPLE[sort]:
        return cases
    return [cases[at * len(cases) // SAMPLE[sort]] for at in range(SAMPLE[sort])]


def make_cases(lab):
    import runner
    points = {way: points_of(lab, way) for way in WAYS}
    assert all(points.values()), "the test build passes no crash point"
    measured = {(way.protocol, way.delivery): measure(lab, way) for way in USUAL
                if way.keep is False}
    for sort, cases in (("point", point_cases(points)), ("pair", pair_cases(points)),
                        ("random", random_cases(measured)),
                        ("connection", connection_cases(measured))):
        runner.CASES += [runner.Case(name, run, deadline)
                         for name, deadline, run in sample(sort, cases)]


def print_table(lab):
    """The whole matrix must have died at each point that the program has."""
    lines = []
    with contextlib.suppress(FileNotFoundError), open(lab.file("table")) as file:
        lines = [json.loads(line) for line in file]
    print(table(lines))
    missed = points_in(os.path.join(user.TREE, "src")).difference(*(one["points"] for one in lines))
    if missed and FULL and len(sys.argv) == 1:
        print("FAILED to die at: " + ", ".join(sorted(missed)))
        return False
    return True


def main():
    user.prefer_memory()
    user.continue_unprivileged()
    import runner
    runner.main("crash", make_cases, at_once=12 if FULL else 6, after=print_table)


if __name__ == "__main__":
    main()
