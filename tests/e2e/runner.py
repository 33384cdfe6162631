"""A tiny test runner. Each case is a function of (lab, home), runs in a process of its own with a
deadline, and several run at the same time. Prints `ok name` or `FAILED name: why`, and last
`N passed, N failed`.
"""
import ctypes
import os
import pickle
import select
import signal
import sys
import time
import traceback

from user import die_with_parent

CASES = []


# The laboratories' servers; a case is for Dovecot alone unless it says otherwise.
DOVECOT, OTHERS = ("dovecot",), ("courier", "cyrus")
EVERY = DOVECOT + OTHERS


class Case:
    def __init__(self, name, run, deadline, server="dovecot"):
        self.name, self.run, self.deadline, self.server = name, run, deadline, server


def case(deadline=60, servers=DOVECOT, **variants):
    """Makes a function a case, one for each of the servers. With each=[(...), ...] it becomes one
    for each, whose values are passed on behind lab and home."""
    def mark(function):
        name = function.__name__
        for values in variants.get("each", [()]):
            values = values if isinstance(values, tuple) else (values,)
            label = " ".join([name] + [" ".join(str(value).split()) for value in values[:3]
                                       if len(str(value)) < 20])
            for server in servers:
                CASES.append(Case(label if server in DOVECOT else server + ": " + label,
                                  lambda lab, home, f=function, v=values: f(lab, home, *v),
                                  deadline, server))
        return function
    return mark


class Skip(Exception):
    """This machine cannot run the case; it counts as passed, and says why."""


def _why(error):
    """The message of a failure, with the line of the test it came from."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__)
             if "/tests/" in frame.filename]
    frame = lines[-1] if lines else None
    for candidate in reversed(lines):
        if not candidate.filename.endswith(("program.py", "lab.py", "runner.py")):
            frame = candidate
            break
    where = "%s:%d: " % (os.path.basename(frame.filename), frame.lineno) if frame else ""
    text = str(error)
    if isinstance(error, AssertionError) and not text and frame:
        text = frame.line
    return where + ("" if isinstance(error, AssertionError) else type(error).__name__ + ": ") + text


class _Running:
    """A case in its process; what it has to say comes through a pipe."""

    def __init__(self, one, lab, make_home):
        self.case = one
        self.end = time.monotonic() + one.deadline
        self.pipe, out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            die_with_parent()
            os.close(self.pipe)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            verdict = ("ok", "")
            try:
                one.run(lab, make_home(lab, one))
            except Skip as why:
                verdict = ("skipped", str(why))
            except BaseException as error:
                verdict = ("failed", _why(error))
            with os.fdopen(out, "wb") as file:
                pickle.dump(verdict, file)
            os._exit(0)
        os.close(out)
        self.text = b""

    def stop(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.pipe)

    def verdict(self):
        """None while it runs."""
        if select.select([self.pipe], [], [], 0)[0]:
            piece = os.read(self.pipe, 1 << 20)
            if piece:
                self.text += piece
                return None
            self.stop()
            try:
                return pickle.loads(self.text)
            except Exception:
                return "failed", "the case's process died"
        if time.monotonic() > self.end:
            self.stop()
            return "failed", "not done within %d s" % self.case.deadline
        return None


def chosen(words, server="dovecot"):
    """The cases that are for this server and whose names hold one of the words (all, if none)."""
    return [one for one in CASES
            if one.server == server and (not words or any(word in one.name for word in words))]


def _adopt_orphans():
    """What our children leave behind becomes ours, so that _end_orphans() finds it."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def _end_orphans(lab):
    """Ends what killed programs left running: an MDA that sleeps, a secret's command."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            if parent == os.getpid() and int(pid) != lab.watchdog.pid:
                os.kill(int(pid), signal.SIGKILL)
                os.waitpid(int(pid), 0)
        except (OSError, ValueError):
            pass


def run(lab, make_home, words=(), at_once=4):
    """Runs the chosen cases. True if none failed."""
    waiting, running = chosen(words, lab.server), []
    counts = {"ok": 0, "skipped": 0, "failed": 0}
    began = time.monotonic()
    _adopt_orphans()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(_Running(waiting.pop(0), lab, make_home))
            select.select([one.pipe for one in running], [], [], 0.2)
            for one in list(running):
                verdict = one.verdict()
                if verdict is None:
                    continue
                running.remove(one)
                kind, why = verdict
                counts[kind] += 1
                if kind == "failed":
                    print("FAILED %s: %s" % (one.case.name, why.rstrip().replace("\n", "\n    ")))
                else:
                    print("ok %s%s" % (one.case.name, " (skipped: %s)" % why if why else ""))
                sys.stdout.flush()
    finally:
        for one in running:
            one.stop()
        _end_orphans(lab)
    print("%.0f s" % (time.monotonic() - began))
    print("%d passed, %d failed" % (counts["ok"] + counts["skipped"], counts["failed"]))
    sys.stdout.flush()
    return counts["failed"] == 0


def interrupt_on_term():
    """SIGTERM ends the run as Ctrl-C does, so that everything is stopped and removed."""
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def main(name, make_cases, at_once, after=None):
    """What a script does whose cases are made from a matrix: makes them once there is a laboratory,
    runs those that its arguments choose, and then after(lab), which is false if all was in vain."""
    from lab import Lab
    from program import Home
    interrupt_on_term()
    with Lab() as lab:
        try:
            make_cases(lab)
        except (AssertionError, OSError) as error:
            print("FAILED %s: %s\n0 passed, 1 failed" % (name, error))
            sys.exit(1)
        good = run(lab, lambda lab, one: Home(lab, lab.file(
            "homes", "%s-%d" % (name, CASES.index(one)))), sys.argv[1:], at_once)
        good = (not after or after(lab)) and good
    sys.exit(0 if good else 1)
