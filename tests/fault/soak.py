#!/usr/bin/python3
"""A daemon in weeks that are minutes: everything that may befall it, again and again, by chance.

Mail keeps coming to accounts of every kind, on a real Dovecot and on servers of moods (world.py),
while connections are cut, Dovecot is restarted, certificates are renewed, the disk fills, the
configuration changes, the machine sleeps, and the daemon itself is killed. fast_clock.c has its
clocks run faster. When it is over and all is calm again, every message must be there exactly once,
nothing may have been removed that had not arrived, no account may be stuck, and the daemon that
lived longest may hold nothing more than it did when it was young.

SOAK_SECONDS (30) is how long it takes about, SOAK_SEED what befalls. Ends with a table.
"""
import collections
import contextlib
import json
import os
import random
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402

SECONDS = float(os.environ.get("SOAK_SECONDS") or 30)
SEED = int(os.environ.get("SOAK_SEED") or 1)
HOUR, DAY = 3600, 86400
# A daemon that is as calm as before may hold so much more: the state's two caches, which grow with
# it up to 512 KB each, and what malloc() keeps for later.
MEMORY_KB = 1024
LEAVES = 5  # seconds, which TERM has; and more for a sanitizer's report
MDA = 'f=$(mktemp "$HOME/part/XXXXXX") && cat >"$f" && [ ! -e "$HOME/refuse" ] || exit 75\n' \
      'mv "$f" "$HOME/got-$1/"\n'

# deliver: maildir or mda; where: dovecot, or moods; folders: mail comes to these.
Kind = collections.namedtuple("Kind", "name protocol keep deliver where folders keys")
FOLDERS = ("Lists", "Work", "A", "B", "C", "D")
KINDS = [Kind(*row) for row in (
    ("listens", "imap", True, "maildir", "dovecot", ("INBOX",), {"interval": "10m"}),
    ("listens-mda", "imap", False, "mda", "dovecot", ("INBOX",), {"interval": "10m"}),
    ("listens-days", "imap", "20d", "maildir", "dovecot", ("INBOX",), {"interval": "20m"}),
    ("several", "imap", False, "maildir", "dovecot", ("INBOX", "Lists", "Work"),
     {"interval": "15m", "mailboxes": ["INBOX", "Lists", "Work"]}),
    ("wild", "imap", True, "maildir", "dovecot", ("INBOX", *FOLDERS),
     {"interval": "5m", "mailboxes": ["*"]}),
    ("polled", "imap", False, "maildir", "dovecot", ("INBOX", "Lists"),
     {"interval": "30s", "idle": False, "mailboxes": ["INBOX", "Lists"]}),
    ("polled-mda", "imap", True, "mda", "dovecot", ("INBOX",),
     {"interval": "40s", "idle": False}),
    ("pop", "pop3", True, "maildir", "dovecot", ("INBOX",), {"interval": "40s"}),
    ("pop-mda", "pop3", False, "mda", "dovecot", ("INBOX",), {"interval": "50s"}),
    ("pop-days", "pop3", "20d", "maildir", "dovecot", ("INBOX",), {"interval": "1m"}),
    ("moody", "imap", False, "maildir", "moods", ("INBOX",), {"interval": "2m"}),
    ("moody-news", "imap", True, "maildir", "moods", ("INBOX",), {"interval": "2m"}),
    ("moody-pop", "pop3", False, "mda", "moods", ("INBOX",), {"interval": "1m"}),
    ("moody-pop-keep", "pop3", True, "maildir", "moods", ("INBOX",), {"interval": "1m"}))]

# Put in front of a good configuration.
MISTAKES = ("max_connections: lots\n", "defaults: [\n", "state_dri: /nowhere\n", "log: everywhere\n",
            "defaults: {interval: 1s}\n", "state_dir: /dev/null/elsewhere\n")
# With what a poll beside the daemon may end; 64: the account is not configured just then.
CODES = (0, 64, 69, 70, 73, 74, 75, 76, 77, 78)


class Account:
    """An account's mail: what came, what is left on the server, what arrived."""

    def __init__(self, kind, lab, home, number):
        from world import MoodyImap, MoodyPop3
        self.kind, self.name, self.lab, self.home = kind, kind.name, lab, home
        self.mail, self.server, self.folders = [], None, list(kind.folders)
        if kind.where == "moods":
            moody = MoodyImap if kind.protocol == "imap" else MoodyPop3
            self.server = moody(lab.certificates, SEED * 100 + number)
            self.server.__enter__()
        os.mkdir(home.file(self.name if kind.deliver == "maildir" else "got-" + self.name))

    def keys(self, ports, script):
        deliver = {"maildir": self.home.file(self.name, "%{mailbox}")} \
            if self.kind.deliver == "maildir" else \
            {"mda": [script, "%{account}"], "mda_timeout": "24h"}  # longer than a night
        port = self.server.port if self.server else ports[self.kind.protocol]
        return {**self.home.account(self.name, self.kind.protocol, port=port, timeout="60s",
                                    keep=self.kind.keep, max_attempts=1000, deliver=deliver,
                                    tls={"mode": "starttls", "ca_file": self.lab.client_ca}),
                **self.kind.keys}

    def fill(self, folder, messages):
        self.mail += messages
        if self.server:
            self.server.add(messages)
        else:
            self.lab.fill(self.name, messages, None if folder == "INBOX" else folder)

    def on_server(self):
        """The numbers of the messages there."""
        if self.server:
            numbers = {one.raw.replace(b"\n", b"\r\n"): one.number for one in self.mail}
            return {numbers[octets] for octets in self.server.left()}
        return {int(name.split(".M")[1].split(".")[0]) for folder in self.folders
                for name in self.lab.left(self.name, None if folder == "INBOX" else folder)}

    def arrived(self):
        from program import Letter, read_maildir
        if self.kind.deliver == "maildir":
            return [letter for folder in os.listdir(self.home.file(self.name))
                    for letter in read_maildir(self.home.file(self.name, folder))]
        got = self.home.file("got-" + self.name)
        return [Letter(os.path.join(got, name)) for name in os.listdir(got)]

    def waiting(self):
        """Letters for MDAs that wait, of whichever account."""
        from program import Letter, read_maildir
        found = []
        for name in os.listdir(self.home.file("state", "spool")) \
                if os.path.isdir(self.home.file("state", "spool")) else ():
            with contextlib.suppress(AssertionError, OSError):
                found.append(Letter(self.home.file("state", "spool", name)))
        return found + read_maildir(self.home.file("state", "quarantine"))

    def lost(self):
        """What is neither on the server nor here. Mail only moves from there to here, so it is
        looked for in that order; and a directory that changes may hide a file from who reads it."""
        from program import as_delivered
        there = self.on_server() | self.on_server()
        gone = [one for one in self.mail if one.number not in there]
        if not gone:
            return []
        here = {letter.message for letter in self.waiting()} if self.kind.deliver == "mda" else set()
        here |= {letter.message for letter in self.arrived()}
        lost = [one.number for one in gone if as_delivered(one, self.kind.protocol) not in here]
        return [number for number in lost if number not in self.on_server()]

    def complete(self):
        return len(self.arrived()) >= len(self.mail)

    def compare(self, doubled):
        """Says what is wrong; "" if all is there exactly once, but for so many that are doubled."""
        from program import compare
        try:
            compare(self.mail, self.arrived(), self.kind.protocol,
                    doubled if self.kind.deliver == "mda" else 0)
        except AssertionError as error:
            return str(error)
        return ""


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, good, what, why=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print("FAILED %s: %s" % (what, str(why)[:3000].replace("\n", "\n    ")), flush=True)
        return good


class Daemon:
    """The daemon's process, and the log of all its lives."""

    def __init__(self, home, env, checks, log):
        self.home, self.env, self.checks, self.log = home, env, checks, log
        self.process, self.count, self.killed, self.ended, self.slowest = None, 0, 0, 0, 0.0
        open(log, "w").close()
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ready.bind(env["NOTIFY_SOCKET"])
        self.ready.settimeout(0.1)

    def said(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def size(self):
        return os.path.getsize(self.log)

    def says(self, words, since, seconds=60):
        """Waits until it says that; since: where in its log."""
        from lab import wait_for

        def there():
            with open(self.log, errors="replace") as file:
                file.seek(since)
                return words in file.read() or not self.alive()
        return wait_for(there, seconds) and self.alive()

    def start(self):
        self.count += 1
        with open(self.log, "ab") as log:
            self.process = self.home.start("-v", "daemon", env=self.env, stdout=log, stderr=log)
        end, words = time.monotonic() + 60, b""
        while b"READY=1" not in words and self.alive() and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                words = self.ready.recv(4096)
        self.checks(b"READY=1" in words, "it starts", self.said()[-2000:])

    def alive(self):
        return self.process.poll() is None

    def lives(self):
        return self.checks(self.alive(), "the daemon does not end by itself",
                           "%s: %s" % (self.process.poll(), self.said()[-6000:]))

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.killed += 1
        self.process.kill()
        self.process.wait()
        self.drain()

    def drain(self):
        """What a daemon that is gone said of itself."""
        with contextlib.suppress(TimeoutError):
            while self.ready.recv(4096):
                pass

    def term(self, patience):
        began = time.monotonic()
        self.ended += 1
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except Exception:
            code = "none"
            self.process.kill()
            self.process.wait()
        took = time.monotonic() - began
        self.drain()
        self.slowest = max(self.slowest, took)
        self.checks(code == 0 and took < patience, "TERM ends it",
                    "exit %s after %.1f s; %s" % (code, took, self.said()[-4000:]))

    def status(self, name):
        with open("/proc/%d/status" % self.process.pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith(name))

    def descriptors(self):
        """What each leads to."""
        place, found = "/proc/%d/fd" % self.process.pid, []
        for one in os.listdir(place):
            with contextlib.suppress(OSError):
                found.append(os.readlink(os.path.join(place, one)))
        return found

    def children(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/stat" % pid) as file:
                name, _, rest = file.read().rpartition(")")
                if int(rest.split()[1]) == self.process.pid:
                    found.append(name + rest[:2])
        return found


class Soak:
    def __init__(self, lab, home):
        import program
        from world import Clock, Line
        self.lab, self.home, self.chance, self.checks = lab, home, random.Random(SEED), Checks()
        with open(program.BINARY, "rb") as file:
            binary = file.read()
        self.sanitizer = next((name for name in ("tsan", "asan") if b"lib" + name.encode() in binary),
                              "")
        self.clock = Clock(lab.file("clock"), {"": 10, "asan": 5, "tsan": 3}[self.sanitizer])
        self.counts, self.later, self.number = collections.Counter(), [], 1
        self.beside, self.began, self.calms, self.measured = [], time.monotonic(), [], {}
        os.mkdir(home.file("part"))
        self.script = home.script("mda", MDA)
        self.accounts = [Account(kind, lab, home, number) for number, kind in enumerate(KINDS)]
        self.moods = [one.server for one in self.accounts if one.server]
        self.lines = {protocol: Line(lab.ports[protocol], SEED + number)
                      for number, protocol in enumerate(("imap", "pop3"))}
        self.ports = {protocol: line.port for protocol, line in self.lines.items()}
        shims = [os.path.join(program.BUILD, "fault", name + ".so")
                 for name in ("fast_clock", "failing_disk")]
        self.full = lab.file("full")
        self.clock_env = {
            "LD_PRELOAD": shims[0], "CLOCK_FILE": self.clock.path,
            "ASAN_OPTIONS": home.env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}
        env = {**self.clock_env, "LD_PRELOAD": ":".join(shims), "DISK_TOP": home.path + "/",
               "DISK_UNDER": home.path, "DISK_FAIL": "write,make,move,size",
               "DISK_NTH": "1", "DISK_STAYS": "1", "DISK_ERRNO": "28", "DISK_WHILE": self.full,
               "NOTIFY_SOCKET": lab.file("notify")}
        self.daemon = Daemon(home, env, self.checks, lab.file("daemon.log"))
        self.configure()

    def configure(self, without=(), changes=(), mistake=""):
        """All accounts but some, some of them with other values."""
        accounts = {one.name: one.keys(self.ports, self.script) for one in self.accounts
                    if one.name not in without}
        for name, keys in dict(changes).items():
            accounts[name].update(keys)
        self.home.configure(accounts, max_connections_per_host=8)
        if mistake:
            with open(self.home.file("config.yaml")) as file:
                text = file.read()
            if mistake.startswith("state_dir:"):
                text = text.partition("\n")[2]
            self.home.write("config.yaml", mistake + text)

    def reload(self):
        since = self.daemon.size()
        self.daemon.signal(signal.SIGHUP)
        return self.daemon.says("was read anew", since)

    def progress(self, what):
        print("  %4.0f s, %5.1f days: %s" % (time.monotonic() - self.began,
                                            self.clock.passed() / DAY, what), flush=True)

    # ---- what befalls ----------------------------------------------------------------------------

    def mail_comes(self):
        import messages
        account = self.chance.choice(self.accounts)
        if account.name == "wild" and self.chance.random() < 0.1:
            account.folders.append("New%d" % len(account.folders))
        count = self.chance.choice((1, 1, 1, 2, 3, 12))
        account.fill(self.chance.choice(account.folders),
                     messages.sample(count, first=self.number))
        self.number += count

    def connections_are_cut(self):
        for line in self.lines.values():
            line.cut(self.chance.choice((0.1, 0.5, 1)))

    def lines_become_rough(self):
        for line in self.lines.values():
            line.rough = self.chance.choice((0, 0.1, 0.3, 0.6))

    def moods_change(self):
        for server in self.moods:
            server.answers.share = self.chance.choice((0, 0.02, 0.05, 0.2))
            server.news = self.chance.random() < 0.5

    def dovecot_restarts(self):
        self.lab.stop()
        self.soon(self.chance.choice((0, 1, 4)), self.lab.go_on)

    def certificates_are_renewed(self):
        self.lab.renew()

    def disk_fills(self):
        with open(self.full, "w"):
            pass
        self.soon(self.chance.uniform(0.5, 4), self.disk_empties)

    def disk_empties(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.full)

    def mda_refuses(self):
        self.home.write("refuse", "")
        self.soon(self.chance.uniform(0.5, 2), self.mda_takes)

    def mda_takes(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.home.file("refuse"))

    def configuration_changes(self):
        names = [one.name for one in self.accounts]
        without = self.chance.sample(names, self.chance.choice((0, 0, 1, 3)))
        changes = {name: {"timeout": self.chance.choice(("50s", "60s", "90s"))}
                   for name in self.chance.sample(names, self.chance.choice((0, 1, 3)))
                   if name not in without}
        self.configure(without, changes)
        self.checks(self.reload(), "a configuration is taken over", self.daemon.said()[-2000:])

    def configuration_has_a_mistake(self):
        mistake = self.chance.choice(MISTAKES)
        since = self.daemon.size()
        self.configure(mistake=mistake)
        self.daemon.signal(signal.SIGHUP)
        self.checks(self.daemon.says("stays as it was", since), "a mistake is told: " + mistake,
                    self.daemon.said()[-2000:])
        self.configure()

    def all_are_asked_for(self):
        self.daemon.signal(signal.SIGUSR1)

    def poll_beside(self):
        names = self.chance.choice(([], [self.chance.choice(self.accounts).name]))
        if len(self.beside) < 2:
            self.beside.append(self.home.start("poll", *names, env=self.clock_env,
                                               stdout=self.out, stderr=self.out))

    def machine_sleeps(self):
        self.clock.suspend(self.chance.uniform(4 * HOUR, 30 * HOUR))

    def night_passes(self):
        self.clock.night(self.chance.uniform(HOUR, 8 * HOUR))

    def daemon_is_killed(self):
        self.daemon.kill()
        self.look_for_losses()
        self.disk_empties()  # it begins on no full disk
        self.daemon.start()

    def daemon_is_ended(self):
        self.daemon.term(LEAVES if not self.sanitizer else 60)
        self.disk_empties()
        self.daemon.start()

    def somebody_looks(self):
        self.look_for_losses([self.chance.choice(self.accounts)])

    def look_for_losses(self, accounts=None):
        for account in accounts or self.accounts:
            if account.kind.keep is True and accounts is None:
                continue
            lost = account.lost()
            self.checks(not lost, "%s: nothing is lost" % account.name,
                        "neither on the server nor here: %s" % lost[:10])

    OFTEN = {"mail_comes": 40, "connections_are_cut": 4, "lines_become_rough": 3,
             "moods_change": 3, "dovecot_restarts": 1, "certificates_are_renewed": 1,
             "disk_fills": 2, "mda_refuses": 1, "configuration_changes": 2,
             "configuration_has_a_mistake": 1.5, "all_are_asked_for": 2, "poll_beside": 1.5,
             "machine_sleeps": 1.5, "night_passes": 1, "somebody_looks": 2}
    DEADLY = {"daemon_is_killed": 2, "daemon_is_ended": 1}

    def soon(self, seconds, what):
        self.later.append((time.monotonic() + seconds, what))

    def run_later(self, all_of_it=False):
        for entry in list(self.later):
            if all_of_it or entry[0] <= time.monotonic():
                self.later.remove(entry)
                entry[1]()

    def reap_beside(self, seconds=0):
        for process in list(self.beside):
            with contextlib.suppress(Exception):
                process.wait(seconds)
            if process.poll() is not None:
                self.beside.remove(process)
                self.checks(process.poll() in CODES, "a poll beside the daemon ends well",
                            "exit %s" % process.poll())

    def befall(self, seconds, often):
        """What may befall does, each as often as chance will have it."""
        end, told = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            what, = self.chance.choices(list(often), list(often.values()))
            self.counts[what] += 1
            getattr(self, what)()
            if not self.daemon.lives():
                self.disk_empties()
                self.daemon.start()
            self.run_later()
            self.reap_beside()
            time.sleep(self.chance.uniform(0.02, 0.3))
            if time.monotonic() > told + 30:
                told = time.monotonic()
                self.progress("%d messages, %d connections cut, %d lives" % (
                    self.number - 1, self.cuts(), self.daemon.count))

    def cuts(self):
        return sum(line.cuts for line in self.lines.values())

    # ---- calm ------------------------------------------------------------------------------------

    def end_of_trouble(self):
        self.run_later(all_of_it=True)
        for line in self.lines.values():
            line.rough = 0
            line.cut(1)
        for server in self.moods:
            server.answers.share, server.news = 0, False
        self.configure()
        self.reap_beside(60)
        self.checks(self.reload(), "the last configuration is taken over",
                    self.daemon.said()[-2000:])

    def succeeded(self):
        """Seconds since 1970 of each account's last success."""
        import datetime
        result = self.home.run("--json", "status", env=self.clock_env)
        assert result.code == 0, result
        return {line["account"]: datetime.datetime.fromisoformat(
            line["last_success"].replace("Z", "+00:00")).timestamp()
            for line in result.json if line.get("last_success")}

    def calm(self, seconds, what):
        """Nothing befalls any more. Nights pass, until each account has been visited and all mail is
        there: no failure is waited for longer than a day."""
        self.end_of_trouble()
        began, real, nights = self.clock.now(), time.monotonic(), 0
        late = [one.name for one in self.accounts]
        while late and time.monotonic() < real + seconds:
            self.clock.night((1, 7, 23)[min(nights, 2)] * HOUR)
            nights += 1
            step = time.monotonic() + 8
            while late and time.monotonic() < min(step, real + seconds):
                time.sleep(0.5)
                good = self.succeeded()
                late = [one.name for one in self.accounts
                        if good.get(one.name, 0) < began or not one.complete()]
        self.calms.append("%.0f s, %d nights" % (time.monotonic() - real, nights))
        self.progress("%s: calm after %s" % (what, self.calms[-1]))
        self.checks(not late, "%s: every account is visited, and all mail comes" % what,
                    "stuck: %s; %s" % (late, self.daemon.said()[-3000:]))
        self.measure(what)

    def measure(self, what):
        """What a daemon holds that does nothing: the least of a few looks, since a visit may be
        under way. Idle connections are counted as they should be, all ears open."""
        looks = []
        for _ in range(12):
            looks.append((len(self.daemon.descriptors()), self.daemon.status("RssAnon")))
            time.sleep(0.25)
        self.measured[what] = (self.daemon.process.pid, min(one[0] for one in looks),
                               min(one[1] for one in looks))

    def hear(self):
        """Who listens hears; at the latest the next poll finds what an ear that just went deaf did
        not hear."""
        import messages
        from lab import wait_for
        began = time.monotonic()
        listening = [one for one in self.accounts if one.name in ("listens", "listens-mda",
                                                                  "listens-days", "several")]
        for account in listening:
            for folder in account.folders:
                account.fill(folder, messages.sample(1, first=self.number))
                self.number += 1
        there = wait_for(lambda: all(one.complete() for one in listening),
                         1000 / self.clock.times + 20)
        self.heard = time.monotonic() - began
        self.checks(there, "who listens hears",
                    [one.name for one in listening if not one.complete()])

    # ---- the end ---------------------------------------------------------------------------------

    def judge(self):
        # What an MDA took is not written down when the disk is full just then, either.
        killed = self.daemon.killed + self.counts["disk_fills"]
        said = self.daemon.said() + self.said_beside()
        doubled = 0
        for account in self.accounts:
            wrong = account.compare(killed)
            self.checks(not wrong, "%s: every message is there exactly once" % account.name, wrong)
            left = account.on_server()
            doubled += max(len(account.arrived()) - len(account.mail), 0)
            if account.kind.keep is True:
                self.checks(len(left) == len(account.mail), "%s: all stays" % account.name,
                            "%d of %d" % (len(left), len(account.mail)))
            else:
                self.checks(not left, "%s: nothing stays" % account.name, sorted(left)[:20])
        self.doubled = doubled
        self.checks(doubled <= killed and said.count("may arrive twice") >= doubled,
                    "what arrived twice was said",
                    "%d doubled, %d deaths, %d said" % (doubled, killed,
                                                        said.count("may arrive twice")))
        self.checks(not self.accounts[0].waiting(), "no letter waits or is in the quarantine",
                    os.listdir(self.home.file("state", "spool")))
        tmp = [os.path.join(place, name) for place, _, names in os.walk(self.home.path)
               if os.path.basename(place) == "tmp" for name in names]
        self.checks(not tmp, "no letter is left in tmp/", tmp[:5])

    def judge_daemon(self):
        young, old = self.measured["young"], self.measured["old"]
        self.checks(young[0] == old[0], "the daemon that was young is the old one", self.measured)
        self.checks(old[1] <= young[1], "no descriptor has leaked", "%d, then %d: %s" % (
            young[1], old[1], sorted(self.daemon.descriptors())))
        if not self.sanitizer:
            self.checks(old[2] - young[2] <= MEMORY_KB, "no memory has leaked",
                        "%d KB, then %d KB" % (young[2], old[2]))
        self.checks(not self.daemon.children(), "no child is left", self.daemon.children())

    def said_beside(self):
        with open(self.lab.file("beside.log"), errors="replace") as file:
            return file.read()

    def age(self):
        """What is kept for days is due."""
        from lab import wait_for
        self.clock.suspend(21 * DAY)
        self.daemon.signal(signal.SIGUSR1)
        wait_for(lambda: not any(one.on_server() for one in self.accounts
                                 if one.kind.keep is not True), 30)

    def run(self):
        for account in self.accounts:
            import messages
            for folder in account.folders:
                account.fill(folder, messages.sample(2, first=self.number))
                self.number += 2
        self.out = open(self.lab.file("beside.log"), "ab")
        self.daemon.start()
        part = SECONDS / 100
        self.befall(37 * part, {**self.OFTEN, **self.DEADLY})
        self.befall(12 * part, self.OFTEN)
        self.calm(max(SECONDS / 10, 60), "young")
        self.befall(42 * part, self.OFTEN)
        self.calm(max(SECONDS / 10, 60), "old")
        self.hear()
        self.age()
        self.look_for_losses(self.accounts)
        self.judge()
        self.measure("old")
        self.judge_daemon()
        self.daemon.term(LEAVES if not self.sanitizer else 60)
        for name, said in (("the daemon", self.daemon.said()), ("a poll", self.said_beside())):
            at = min((said.find(word) for word in ("Sanitizer", "runtime error:")
                      if word in said), default=-1)
            self.checks(at < 0, "no sanitizer complains of " + name, said[max(at - 200, 0):at + 5000])

    def table(self):
        print("\n%-15s %-5s %-5s %-8s %-8s %9s %8s %8s" % (
            "account", "proto", "keep", "sink", "server", "messages", "arrived", "left"))
        for one in self.accounts:
            print("%-15s %-5s %-5s %-8s %-8s %9d %8d %8d" % (
                one.name, one.kind.protocol, str(one.kind.keep).lower(), one.kind.deliver,
                one.kind.where, len(one.mail), len(one.arrived()), len(one.on_server())))
        rows = [("seed", SEED), ("seconds", "%.0f" % (time.monotonic() - self.began)),
                ("days by the daemon's clock", "%.1f" % (self.clock.passed() / DAY)),
                ("messages", sum(len(one.mail) for one in self.accounts)),
                ("arrived twice (MDA)", self.doubled),
                ("daemons: lives, killed, ended", "%d, %d, %d (slowest %.1f s)" % (
                    self.daemon.count, self.daemon.killed, self.daemon.ended,
                    self.daemon.slowest)),
                ("connections cut, silenced", "%d, %d" % (self.cuts(), sum(
                    line.silences for line in self.lines.values()))),
                ("visits to servers of moods, tricks", "%d, %d" % (
                    sum(one.sessions for one in self.moods),
                    sum(one.answers.tricks for one in self.moods))),
                ("Dovecot restarted", self.lab.restarts),
                ("certificates renewed", self.lab.renewals),
                ("nights, suspends", "%d, %d" % (self.clock.nights, self.clock.suspends))]
        rows += [(what.replace("_", " "), self.counts[what]) for what in (
            "disk_fills", "mda_refuses", "configuration_changes", "configuration_has_a_mistake",
            "all_are_asked_for", "poll_beside", "somebody_looks")]
        rows += [("calm: young, old", "; ".join(self.calms)),
                 ("last news was heard within", "%.1f s" % self.heard),
                 ("descriptors: young, old", "%d, %d" % (self.measured["young"][1],
                                                        self.measured["old"][1])),
                 ("RssAnon: young, old", "%d KB, %d KB" % (self.measured["young"][2],
                                                          self.measured["old"][2]))]
        for name, value in rows:
            print("%-36s %s" % (name, value))


def main():
    user.continue_unprivileged()
    import runner
    from lab import end_group
    from program import Home
    from world import Dovecot
    runner.interrupt_on_term()
    with Dovecot() as lab:
        soak = Soak(lab, Home(lab, lab.file("homes", "soak")))
        try:
            soak.run()
            soak.table()
        finally:
            for process in soak.beside + [soak.daemon.process]:
                if process and process.poll() is None:
                    end_group(process)
        print("%d passed, %d failed" % (soak.checks.passed, soak.checks.failed))
        good = not soak.checks.failed
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
