#!/usr/bin/python3
"""Includes point down only: checks every source and header against the floors of the house.

Rooms of the same floor do not know each other below the session; the outside libraries that only
one room may see are named in ALLOWED. include/x/y.h belongs to src/x/y.c.
"""
import os
import re
import sys

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

FLOORS = {"util": 1, "proto": 2, "auth": 2, "io": 2, "mail": 2, "config": 2, "state": 2,
          "deliver": 3, "session": 4, "daemon": 5, "cmd": 6, "main": 6}
STRANGERS = 2  # the floor whose rooms do not know each other

# A library's header, and the directories or files that may include it.
ALLOWED = {r"uv\.h": ("io/",), r"gnutls/.*": ("io/",), r"sqlite3\.h": ("state/",),
           r"yaml\.h": ("config/config.c",), r"gsasl\.h": ("auth/sasl.c",),
           r"jansson\.h": ("cmd/", "daemon/control.c", "daemon/visit_json.", "state/transfer.c")}

# Concrete sinks and protocols are named by themselves, the daemon and the commands only.
CONCRETE = ("proto/imap.h", "proto/pop3.h", "deliver/maildir.h", "deliver/mda.h")

# Headers that belong to several sources: an engine's own, and a face that only has tables to fill.
SHARED = ("proto/imap_engine.h", "proto/pop3_engine.h", "session/collect_parts.h",
          "session/session_parts.h", "deliver/sink.h", "config/config_walk.h", "state/state_db.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1) == "<", found.group(2)


def room_of(name):
    return name.split("/")[0].removesuffix(".c").removesuffix(".h")


def breach(name, system, wanted):
    """Why the file may not include that, or None."""
    if system:
        for header, places in ALLOWED.items():
            if re.fullmatch(header, wanted) and not name.startswith(places):
                return "<%s> is for %s only" % (wanted, ", ".join(places))
        return None
    if ".." in wanted or "/" not in wanted:
        return '"%s" is not named from include/' % wanted
    if not os.path.exists(os.path.join(TREE, "include", wanted)):
        return '"%s" is not in include/' % wanted
    mine, theirs = room_of(name), room_of(wanted)
    if theirs not in FLOORS:
        return "the room %s stands on no floor" % theirs
    if mine == theirs:
        return None
    if FLOORS[theirs] > FLOORS[mine]:
        return '"%s" is on a floor above' % wanted
    if FLOORS[theirs] == FLOORS[mine] and FLOORS[mine] <= STRANGERS:
        return 'rooms of floor %d do not know each other: "%s"' % (FLOORS[mine], wanted)
    if wanted in CONCRETE and FLOORS[mine] < FLOORS["daemon"]:
        return '"%s" is a concrete one: only the daemon and the commands name it' % wanted
    return None


def files():
    for top in ("include", "src"):
        for path, directories, names in os.walk(os.path.join(TREE, top)):
            directories.sort()
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    full = os.path.join(path, name)
                    yield full, os.path.relpath(full, os.path.join(TREE, top))


def main():
    found = 0

    def complain(path, number, why):
        nonlocal found
        found += 1
        print("%s:%d: %s" % (os.path.relpath(path, TREE), number, why))

    for path, name in files():
        if room_of(name) not in FLOORS:
            complain(path, 1, "the room %s stands on no floor" % room_of(name))
            continue
        for number, system, wanted in includes(path):
            why = breach(name, system, wanted)
            if why:
                complain(path, number, why)
        source = re.sub(r"(_ops)?\.h$", ".c", name)
        if (path.endswith(".h") and name not in SHARED
                and not os.path.exists(os.path.join(TREE, "src", source))):
            complain(path, 1, "there is no src/%s that it belongs to" % source)
    print("layers: %s" % ("%d breaches" % found if found else "in order"))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
