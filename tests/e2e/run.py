#!/usr/bin/python3
"""End-to-end tests: mailhaul against a real Dovecot and real MDAs.

run.py [WORD...] runs the cases whose names hold one of the words. MAILHAUL_KEEP_LAB=1 keeps the
directory with all that was made.
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
    from lab import Lab
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_") and name.endswith(".py"):
            importlib.import_module(name[:-3])
    runner.interrupt_on_term()
    with Lab() as lab:
        good = runner.run(lab, make_home, sys.argv[1:])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
