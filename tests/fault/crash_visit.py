"""One mailbox, one configuration, one disk, and what became of the messages after each death."""
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time

# Messages named "3" are refused while there is a file "picky".
REFUSED = ("picky", "dropped")
MDA = 'read name </proc/sys/kernel/random/uuid && f=$HOME/part/$name && cat >"$f" || exit 75\n' \
      '[ -e "$HOME/picky" ] && grep -q "^Subject: message 3$" "$f" && { rm "$f"; exit 67; }\n' \
      'mv "$f" "$HOME/got/"\n'

# scene: "" a first visit; anew: half of the mail was delivered, then the server numbered its messages
# anew; old: half of it was delivered by a mailhaul whose state had an older form; looked: half of it
# was delivered a month ago, and one of that is gone from the server; damaged: half of it was
# delivered, then the state was damaged, and its user does as he is told; picky: the MDA refuses a
# message, which goes into the quarantine and is taken from there again; dropped: and is dropped from
# there; many: so many that the file system is flushed instead of each; network: all lies on a file
# system that says it is NFS.
Way = collections.namedtuple("Way", "protocol keep delivery scene")

# What happens when it dies: the process is gone; or the power, too, and of what was not flushed
# nothing survives, or what chance will have.
KILL, CUT, MIX = "kill", "power cut", "power cut, chance"

OLD_FORM = """
ALTER TABLE account DROP COLUMN today; ALTER TABLE account DROP COLUMN today_messages;
ALTER TABLE account DROP COLUMN today_octets;
DROP INDEX settled; DROP INDEX gone; DROP INDEX marks;
ALTER TABLE mailbox DROP COLUMN begun; ALTER TABLE mailbox DROP COLUMN checked;
ALTER TABLE message DROP COLUMN gone;
CREATE INDEX settled ON message (mailbox, taken, name) WHERE (1 << state) & 440;
PRAGMA user_version = 1;
"""


def label(way):
    return "%s, keep: %s, %s%s" % (way.protocol, str(way.keep).lower(), way.delivery,
                                   ", " + way.scene if way.scene else "")


class Visit:
    def __init__(self, lab, home, way, count, seed=0):
        import messages
        import power
        import program
        self.lab, self.home, self.way = lab, home, way
        self.chance = random.Random("%s %s" % (label(way), seed))
        self.killed, self.said, self.counts = 0, "", collections.Counter()
        self.died_at = set()
        home.binary = program.CRASH_BINARY
        self.user = os.path.basename(home.path)
        # No directory may be on the disk only because another one was flushed with it.
        os.makedirs(home.file("deep"), exist_ok=True)
        os.symlink("deep/state", home.file("state"))
        for name in ("part", "got"):
            os.makedirs(home.file(name))
        self.deliver = {"maildir": home.file("Maildir")} if way.delivery == "maildir" else \
            {"mda": [home.script("mda", MDA)]}
        self.mail = messages.sample(count)
        self.prepare(count // 2)
        self.disk = power.Disk(home.path, home.path + ".disk", ("Maildir", "deep"))
        self.shim = os.path.join(program.BUILD, "fault", "power_cut.so")

    def configure(self, keep, port=None):
        keys = {"port": port} if port else {}
        self.home.configure({"box": self.home.account(
            self.user, self.way.protocol, keep=keep, auth="plain", max_attempts=1,
            deliver=self.deliver, **keys)}, state_dir=self.home.file("deep", "state"))

    def prepare(self, half):
        if self.way.scene in ("anew", "old", "looked", "damaged"):
            self.lab.fill(self.user, self.mail[:half])
            self.configure(True)
            result = self.home.run("poll", "box")
            assert result.code == 0, result
            getattr(self, self.way.scene)()
            self.lab.fill(self.user, self.mail[half:])
        else:
            self.lab.fill(self.user, self.mail)
        if self.way.scene in REFUSED:
            self.home.write("picky", "")
        self.configure(self.way.keep)

    def anew(self):
        self.lab.renumber(self.user)

    def old(self):
        with contextlib.closing(sqlite3.connect(self.home.file("state", "state.db"))) as db:
            db.executescript(OLD_FORM)

    def looked(self):
        import memory
        memory.change(self.home, "UPDATE mailbox SET begun = begun - ?1, checked = checked - ?1",
                      40 * memory.DAY)
        first, = (name for name in self.lab.left(self.user) if ".M%08d." % 1 in name)
        for part in ("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self.lab.mailbox(self.user), part, first))

    def damaged(self):
        with open(self.home.file("state", "state.db"), "r+b") as file:
            file.write(bytes(4096))
        self.home.write("damaged", "")

    def remembered(self, where):
        """How many rows, told by a copy: who looks at the state itself moves its log into it. There
        may be no state yet."""
        copy = self.home.file("copy")
        os.makedirs(copy, exist_ok=True)
        for name in ("state.db", "state.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(copy, name))
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(self.home.file("state", name), copy)
        with contextlib.closing(sqlite3.connect(os.path.join(copy, "state.db"))) as db:
            with contextlib.suppress(sqlite3.OperationalError):
                return db.execute("SELECT count(*) FROM message WHERE " + where).fetchone()[0]
        return 0

    def age(self):
        """Days go by: what was delivered is due."""
        import memory
        due = "state = %d AND taken > %d" % (memory.DELIVERED, time.time() - memory.DAY)
        if self.way.keep == "1d" and self.remembered(due):
            memory.change(self.home, "UPDATE message SET taken = taken - ?1, changed = "
                          "changed - ?1 WHERE " + due, 2 * memory.DAY)
            self.disk.settle()

    # ---- runs ------------------------------------------------------------------------------------

    def run(self, how, env, *args):
        """One run. If it dies, the power may be gone with it."""
        env = {**env, **self.shim_env(how)}
        env["ASAN_OPTIONS"] = self.home.env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        result = self.home.run("-v", *args, env=env)
        self.said += result.err
        assert result.code != -signal.SIGABRT, result
        if result.code == -signal.SIGKILL:
            self.died(how)
        return result

    def shim_env(self, how):
        env = self.disk.env(self.shim) if how else {}
        if self.way.scene == "network":
            env.update(LD_PRELOAD=self.shim, POWER_NETWORK="1")
        return env

    def died(self, how):
        self.killed += 1
        self.counts[how] += 1
        if how in (CUT, MIX):
            self.disk.cut(self.chance if how == MIX else None)
        self.check_nothing_lost()

    def poll(self, point=None, listing=None, how=None):
        """Polls, with all that the scene wants besides. True if it died."""
        env = {"MAILHAUL_CRASH": point, "MAILHAUL_CRASH_LIST": listing}
        env = {name: value for name, value in env.items() if value}
        self.age()
        for codes, args in self.commands():
            result = self.run(how, env, *args)
            if result.code == -signal.SIGKILL:
                self.died_at |= {point.split(":")[0]} if point else set()
                return True
            assert result.code in codes, "after %d deaths: %r" % (self.killed, result)
        return False

    def commands(self):
        """(exit codes that are good, arguments) of each run, one after the other."""
        if os.path.exists(self.home.file("damaged")):
            # Done again from the beginning, until all is done: a reset says that there is no need.
            yield (0, 64), ("state", "reset")
            yield (0,), ("state", "import", "--maildir", "box")
            os.remove(self.home.file("damaged"))
        yield (0, 65), ("poll", "box")
        if self.quarantined():
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.home.file("picky"))
            yield (0,), ("state", "quarantine",
                         "drop" if self.way.scene == "dropped" else "retry", "box", "--all")

    def quarantined(self):
        """Letters there, of which the state knows."""
        return self.way.scene in REFUSED and self.remembered("state = 7")

    def poll_killed_after(self, seconds, how):
        """Polls, and kills it after so long, unless it ended before."""
        self.age()
        with open(self.home.file("said"), "w+", errors="replace") as said:
            process = self.home.start("-v", "poll", "box", env=self.shim_env(how),
                                      stdout=subprocess.DEVNULL, stderr=said)
            time.sleep(seconds)
            alive = process.poll() is None
            process.kill()
            process.wait()
            said.seek(0)
            self.said += said.read()
        if alive:
            self.died(how)
        else:
            self.check_nothing_lost()

    def poll_through(self, cutter):
        """Polls over a connection that is cut."""
        self.configure(self.way.keep, cutter.port)
        self.age()
        result = self.home.run("-v", "poll", "box", env=self.shim_env(None))
        assert result.code in (0, 65, 69, 75, 76), result
        self.counts["connection"] += cutter.cut
        self.configure(self.way.keep)
        self.check_nothing_lost()
        return result

    # ---- what became of it -----------------------------------------------------------------------

    def arrived(self):
        from program import Letter, read_maildir
        if self.way.delivery == "maildir":
            return read_maildir(self.home.file("Maildir"))
        got = self.home.file("got")
        return [Letter(os.path.join(got, name)) for name in os.listdir(got)]

    def on_server(self):
        return {int(name.split(".M")[1].split(".")[0]) for name in self.lab.left(self.user)}

    def waiting(self):
        """Messages that stand in the spool or the quarantine of an MDA's account."""
        from program import Letter, read_maildir
        spool = self.home.file("state", "spool")
        names = os.listdir(spool) if os.path.isdir(spool) else []
        found = read_maildir(self.home.file("state", "quarantine"))
        for name in names:
            with contextlib.suppress(AssertionError):
                found.append(Letter(os.path.join(spool, name)))
        return found

    def lost(self):
        left = self.on_server()
        bodies = {letter.message for letter in self.arrived() + self.waiting()}
        return [one.number for one in self.mail if one.number not in left and
                one.raw not in bodies]

    def check_nothing_lost(self):
        """Right after a death: what is not on the server any more must have arrived."""
        lost = self.lost()
        assert not lost, "neither on the server nor here: %s" % lost
        if self.way.keep is True:
            assert len(self.on_server()) == len(self.mail), "keep: true removed mail"

    def expected(self):
        return [one for one in self.mail if self.way.scene != "dropped" or one.number != 3]

    def finish(self):
        """Undisturbed, everything must have arrived."""
        from program import compare, unfinished
        for _ in range(2 + (self.way.keep == "1d") + 2 * (self.way.scene in REFUSED)):
            self.poll()
        if self.way.delivery == "mda":
            time.sleep(0.05)  # one that outlived a death may still be at work
        arrived, expected = self.arrived(), self.expected()
        compare(expected, arrived, doubled=self.killed if self.way.delivery == "mda" else 0)
        doubled = len(arrived) - len(expected)
        assert self.said.count("may arrive twice") >= doubled, \
            "%d doubled, and not said: %s" % (doubled, self.said)
        left = self.on_server()
        if self.way.keep is not True:
            assert left == {one.number for one in self.mail if one not in expected}, \
                "left on the server: %s" % left
        for place in (self.home.file("Maildir"), self.home.file("state", "quarantine")):
            assert not unfinished(place), "letters were left in %s/tmp" % place
        assert not self.waiting(), "letters were left in the spool or the quarantine"
        self.check_state()

    def check_state(self):
        """A row for each message, and each has come to its end."""
        import memory
        states = collections.Counter(state for state, in memory.rows(self.home, "state"))
        skipped = {"dropped": 1, "damaged": len(self.mail) // 2}.get(self.way.scene, 0)
        # Whether a removal is known depends on the moment of death.
        ends = {memory.DELIVERED} if self.way.keep is True else {memory.DELIVERED, memory.REMOVED}
        assert sum(states.values()) == len(self.mail) and set(states) <= {*ends, memory.SKIPPED} \
            and states[memory.SKIPPED] == skipped, "the state holds %s" % dict(states)

    def account(self, good=True):
        """A line for the table; and removes everything."""
        bodies = collections.Counter(letter.message for letter in self.arrived())
        missing = [one for one in self.expected() if not bodies[one.raw]] if good else self.lost()
        self.note(len(missing), sum(bodies.values()) - len(bodies))
        if good:
            self.remove()

    def remove(self):
        shutil.rmtree(self.home.path)
        shutil.rmtree(self.disk.record)
        self.lab.empty(self.user)

    def note(self, lost, doubled):
        line = json.dumps({"way": self.way, "points": sorted(self.died_at), "lost": lost,
                           "doubled": doubled, "twice": self.killed > 1,
                           "counts": self.counts}) + "\n"
        with open(self.lab.file("table"), "a") as file:
            file.write(line)


@contextlib.contextmanager
def accounted(visit):
    """What happens inside goes into the table, be it good or not."""
    good = False
    try:
        yield visit
        visit.finish()
        good = True
    finally:
        visit.account(good)


def points_in(tree):
    """The names of all crash points that the program has."""
    found = set()
    for directory, _, names in os.walk(tree):
        for name in names:
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                found.update(re.findall(r'crash_point\("([^"]+)"\)', file.read()))
    return found


def table(lines):
    """The table of all that was run, as text."""
    rows = {}
    for line in lines:
        protocol, keep, delivery, _ = line["way"]
        row = rows.setdefault((protocol, str(keep).lower(), delivery),
                              {"points": set(), "counts": collections.Counter()})
        row["points"] |= set(line["points"])
        row["counts"].update(line["counts"], runs=1, twice=int(line["twice"]), lost=line["lost"],
                             doubled=line["doubled"])
    form = "%-8s %-6s %-8s %7s %6s %6s %6s %6s %10s %5s %8s"
    text = [form % ("protocol", "keep", "sink", "points", "runs", "twice", "kills", "cuts",
                    "cut-lines", "lost", "doubled")]
    for key, row in sorted(rows.items()):
        counts = row["counts"]
        text.append(form % (*key, len(row["points"]), counts["runs"], counts["twice"],
                            counts[KILL], counts[CUT] + counts[MIX], counts["connection"],
                            counts["lost"], counts["doubled"]))
    return "\n".join(text)
