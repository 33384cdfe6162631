#!/usr/bin/python3
"""End-to-end tests: mailhaul against real servers and real MDAs.

run.py [SERVER] [WORD...] runs the cases for the server (dovecot, courier, cyrus; Dovecot unless
named) whose names hold one of the words. MAILHAUL_KEEP_LAB=1 keeps the directory with all that was
made.
"""
import importlib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import user  # noqa: E402


def make_home(lab, one):
    """A directory whose name is unique, in any case, and serves as the user's name too."""
    from program import Home
    from runner import CASES
    name = re.sub(r"[^a-z0-9]+", "-", one.name.lower())[:40].strip("-")
    return Home(lab, lab.file("homes", "%s-%d" % (name, CASES.index(one))))


def main():
    user.continue_unprivileged()
    import runner
    from courier import Courier
    from cyrus import Cyrus
    from lab import Lab
    laboratories = {one.server: one for one in (Lab, Courier, Cyrus)}
    words = sys.argv[1:]
    laboratory = laboratories[words.pop(0) if words and words[0] in laboratories else Lab.server]
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_") and name.endswith(".py"):
            importlib.import_module(name[:-3])
    runner.interrupt_on_term()
    cases = runner.chosen(words, laboratory.server)
    if not cases or laboratory.missing():
        if cases:
            print("SKIPPED %d cases: %s" % (len(cases), laboratory.missing()))
        print("0 passed, 0 failed")
        return
    with laboratory() as lab:
        good = runner.run(lab, make_home, words)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
