#!/usr/bin/python3
"""All tests, one summary: the last line is `N passed, N failed`.

check.py [STAGE...] [WORD...]: only these stages; words choose among the cases of a stage. With V=1
in the environment every case is named, else those that failed. With MAILHAUL_FULL=1 matrices are run
whole, of which otherwise a part is run. MAILHAUL_BUILD says where the
programs to be tested were built. As root it goes on as an unprivileged user.
"""
import glob
import os
import re
import signal
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(TESTS, "e2e"))
sys.dont_write_bytecode = True

import user  # noqa: E402

TREE = user.TREE
BUILD = os.environ.get("MAILHAUL_BUILD", "build")
VERBOSE = bool(os.environ.get("V"))


class Stage:
    """A name, commands that run one after another, and how long each may take. A command that
    prints counts is counted by them, any other as one test."""

    def __init__(self, name, commands, deadline=600):
        self.name, self.commands = name, commands
        self.deadline = 6 * 3600 if os.environ.get("MAILHAUL_FULL") else deadline


def script(path, *args):
    return lambda words: [[sys.executable, os.path.join(TESTS, path), *args, *words]]


def units(_words):
    return [[path] for path in sorted(glob.glob(os.path.join(BUILD, "unit", "test_*")))
            if os.access(path, os.X_OK)]


def dialogs(_words):
    transcripts = sorted(glob.glob("tests/dialog/*/*.txt"))
    return [[os.path.join(BUILD, "dialog", "run_dialog"), *transcripts]]


def fuzz(_words):
    """What fuzzing found worth keeping, and the transcripts, without a fuzzer."""
    return [[path, os.path.join(BUILD, "fuzz", path.split("/replay_")[1] + ".seeds")]
            for path in sorted(glob.glob(os.path.join(BUILD, "fuzz", "replay_*")))
            if os.access(path, os.X_OK) and not path.endswith(".d")]


def options(_words):
    """What is generated from the option table is what the table says."""
    return [[os.path.join(BUILD, "options", "write_options"), "--check"]]


def formatted(_words):
    files = [path for top in ("src", "include", "tests")
             for path in glob.glob(top + "/**/*.[ch]", recursive=True)]
    return [["clang-format", "--dry-run", "-Werror", *sorted(files)]] if files else []


def pages(_words):
    found = sorted(glob.glob("man/*.[1-8]"))
    return [["mandoc", "-T", "lint", "-W", "warning", *found]] if found else []


STAGES = [Stage("units", units), Stage("dialogs", dialogs), Stage("fuzz", fuzz),
          Stage("layers", script("layers.py")), Stage("options", options),
          Stage("format", formatted), Stage("man", pages),
          Stage("e2e", script("e2e/run.py")), Stage("courier", script("e2e/run.py", "courier")),
          Stage("cyrus", script("e2e/run.py", "cyrus")),
          Stage("fault", script("fault/hostile.py")), Stage("disks", script("fault/disks.py")),
          Stage("crash", script("fault/crash.py"), 1200), Stage("soak", script("fault/soak.py"))]
ALSO = {"e2e": ("e2e", "courier", "cyrus"), "fault": ("fault", "disks", "crash", "soak")}


def counts(text, code):
    """(passed, failed) of one command's output."""
    found = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)
    if found:
        passed, failed = map(int, found[-1])
    else:
        found = re.findall(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", text, re.M)
        failed = sum(int(fails) + int(errors) for _, fails, errors in found)
        passed = sum(int(checks) for checks, _, _ in found) - failed
        if not found:
            passed, failed = (1, 0) if code == 0 else (0, 1)
    return passed, failed or int(code != 0)


def worth_showing(line):
    return VERBOSE or not re.match(r"ok |\d+ passed, \d+ failed$|[\d.]+ s$|Running suite|100%:|"
                                   r"layers: in order", line)


def end(process):
    """Has a command that was interrupted stop its servers and remove its files."""
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def interrupt(_number, _frame):
    """Once: what comes then is cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run_command(argv, deadline):
    """Runs it, shows what matters, and gives (passed, failed)."""
    process = subprocess.Popen(["timeout", "-k", "30", str(deadline), *argv],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, cwd=TREE,
                               env={**os.environ, "CK_VERBOSITY": "normal"},
                               preexec_fn=user.die_with_parent)
    lines = []
    try:
        for line in process.stdout:
            line = line.decode(errors="replace").rstrip("\n")
            lines.append(line)
            if worth_showing(line):
                print(line, flush=True)
    finally:
        if process.poll() is None:
            end(process)
    code = process.wait()
    passed, failed = counts("\n".join(lines), code)
    if code and not any(re.match(r"FAILED ", line) for line in lines):
        print("FAILED %s: exit %d" % (os.path.basename(argv[0]), code))
    return passed, failed


def main():
    user.continue_unprivileged()
    os.chdir(TREE)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    names = [stage.name for stage in STAGES]
    chosen = [name for word in sys.argv[1:] if word in names for name in ALSO.get(word, (word,))]
    words = [word for word in sys.argv[1:] if word not in names]
    total = [0, 0]
    for stage in STAGES:
        if chosen and stage.name not in chosen:
            continue
        began, sums = time.monotonic(), [0, 0]
        for argv in stage.commands(words):
            for i, count in enumerate(run_command(argv, stage.deadline)):
                sums[i] += count
        print("%-8s %4d passed, %d failed, %.0f s" % (stage.name + ":", *sums,
                                                       time.monotonic() - began), flush=True)
        total = [a + b for a, b in zip(total, sums)]
    print("%d passed, %d failed" % tuple(total))
    sys.exit(1 if total[1] or not total[0] else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
