#!/usr/bin/python3
"""The figures mailhaul is to reach, measured beside mbsync, on the same server, in the same run.

Every figure is printed with what it may be at most; the exit code is 1 if one is not reached.
bench.py [flights] [memory] [speed] [recognise] [rows] measures only these.
"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402

ROUND_TRIP = 0.05
KNOWN, NEW, OCTETS = 10_000, 500, 4096
ROUNDS = 3
missed = []


def figure(name, value, limit, unit="", text="%.0f"):
    met = limit is None or value <= limit
    if not met:
        missed.append(name)
    print("%-62s %9s %-3s %s" % (name, text % value, unit, "" if limit is None else
                                 "at most %s: %s" % (text % limit, "met" if met else "NOT MET")),
          flush=True)


class Run:
    """A command's wall seconds, CPU seconds and peak resident megabytes. The peak is looked up
    while it runs: that of wait4() would count this program's own memory before the exec."""

    def __init__(self, argv, env, cwd):
        began, self.peak = time.monotonic(), 0
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(process.stdout.fileno(), False)
        said = b""
        while process.poll() is None:
            self._look(process.pid)
            said += process.stdout.read() or b""
            time.sleep(0.003)
        self.seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if process.returncode:
            raise SystemExit("%s ended with %d: %s" % (argv, process.returncode, (
                said + (process.stdout.read() or b"")).decode(errors="replace")))
        process.stdout.close()

    def _look(self, pid):
        try:
            with open("/proc/%d/status" % pid) as file:
                for line in file:
                    if line.startswith("VmHWM:"):
                        self.peak = max(self.peak, int(line.split()[1]) / 1024)
        except OSError:
            pass


class Bench:
    def __init__(self, lab):
        import program
        self.lab, self.count, self.program = lab, 0, program
        with open(lab.file("both.pem"), "w") as file:
            for path in (lab.ca, lab.certificates.good):
                with open(path) as one:
                    file.write(one.read())

    def home(self, user_name, protocol="imap", port=None):
        """A fresh home with one account, PLAIN as the figures are defined."""
        self.count += 1
        home = self.program.Home(self.lab, self.lab.file("homes", str(self.count)))
        keys = {"port": port} if port else {}
        home.configure({"box": home.account(user_name, protocol, auth="plain", **keys)})
        return home

    def mailhaul(self, home):
        return Run(home.argv("poll"), home.env, home.path)

    def mbsync(self, user_name, flush, port=None, place=None):
        """Pulls into a fresh Maildir, or again into place; gives the run and the place."""
        from lab import HOST, SECRET
        if place is None:
            self.count += 1
            place = self.lab.file("homes", str(self.count))
            os.makedirs(place)
        secret = SECRET.replace("\\", "\\\\").replace('"', '\\"')
        with open(os.path.join(place, "mbsyncrc"), "w") as file:
            file.write('FSync %s\n\nIMAPStore far\nHost %s\nPort %d\nSSLType STARTTLS\n'
                       'CertificateFile %s\nUser %s\nPass "%s"\nAuthMechs PLAIN\n\n'
                       'MaildirStore near\nInbox %s/Maildir\nPath %s/\n\nChannel c\nFar :far:\n'
                       'Near :near:\nPatterns INBOX\nSync Pull\nCreate Near\n'
                       'CopyArrivalDate yes\nSyncState %s/state\n' % (
                           "yes" if flush else "no", HOST, port or self.lab.ports["imap"],
                           self.lab.file("both.pem"), user_name, secret, place, place, place))
        run = Run(["mbsync", "-q", "-c", os.path.join(place, "mbsyncrc"), "c"],
                  {"HOME": place, "PATH": os.environ["PATH"]}, place)
        return run, place


def arrived(place):
    return sum(len(os.listdir(os.path.join(place, "Maildir", part))) for part in ("new", "cur"))


def expect(place, count, who):
    if arrived(place) != count:
        raise SystemExit("%s: %d messages instead of %d" % (who, arrived(place), count))


def flights(bench):
    """Empty polls of KNOWN messages, and polls with NEW of them, through a delay."""
    import messages
    from lab import HOST
    from proxy import Proxy
    print("Flights at a round trip of %d ms, %d known messages, %d new ones of 4 KB" % (
        ROUND_TRIP * 1000, KNOWN, NEW))
    for protocol, limit, more in (("imap", 7, 3), ("pop3", 8, 6)):
        name = "flights-" + protocol
        bench.lab.fill(name, messages.uniform(KNOWN, 300))
        home = bench.home(name, protocol)
        bench.mailhaul(home)
        expect(home.path, KNOWN, "mailhaul")
        with Proxy(HOST, bench.lab.ports[protocol], ROUND_TRIP) as proxy:
            home.configure({"box": home.account(name, protocol, auth="plain", port=proxy.port)})
            run = bench.mailhaul(home)
            empty = proxy.flights[-1]
            figure("mailhaul %s, nothing new: flights" % protocol, empty, limit)
            figure("    wall", run.seconds * 1000, None, "ms")
            bench.lab.fill(name, messages.uniform(NEW, OCTETS, KNOWN + 1))
            run = bench.mailhaul(home)
            expect(home.path, KNOWN + NEW, "mailhaul")
            figure("mailhaul %s, %d new: flights" % (protocol, NEW), proxy.flights[-1],
                   limit + more)
            figure("    wall", run.seconds * 1000, None, "ms")
            assert len(proxy.flights) == 2, "more than one connection a poll: %s" % proxy.flights
    flights_of_mailboxes(bench, 20)
    flights_of_mbsync(bench, "flights-imap")


def flights_of_mailboxes(bench, count):
    """An empty poll of several mailboxes, in which nothing is new; and of one of them that has
    something."""
    import messages
    from lab import HOST
    from proxy import Proxy
    name = "flights-mailboxes"
    folders = [None] + ["Lists.list-%d" % number for number in range(count - 1)]
    for number, folder in enumerate(folders):
        bench.lab.fill(name, messages.uniform(KNOWN // count, 300, 1 + number * KNOWN), folder)
    home = bench.home(name)
    with Proxy(HOST, bench.lab.ports["imap"], ROUND_TRIP) as proxy:
        for way, mailboxes in (("by a pattern", ["*"]), ("written out", [
                (folder or "INBOX").replace(".", "/") for folder in folders])):
            home.configure({"box": home.account(name, auth="plain", port=proxy.port,
                                                mailboxes=mailboxes)})
            bench.mailhaul(home)
            expect(home.path, KNOWN // count * count, "mailhaul")
            run = bench.mailhaul(home)
            figure("mailhaul imap, %d quiet mailboxes %s: flights" % (count, way),
                   proxy.flights[-1], 7)
            figure("    wall", run.seconds * 1000, None, "ms")
    bench.lab.empty(name)


def flights_of_mbsync(bench, name):
    import messages
    from lab import HOST
    from proxy import Proxy
    _, place = bench.mbsync(name, False)
    with Proxy(HOST, bench.lab.ports["imap"], ROUND_TRIP) as proxy:
        run, _ = bench.mbsync(name, False, proxy.port, place)
        figure("mbsync imap, nothing new: flights", proxy.flights[-1], None)
        figure("    wall", run.seconds * 1000, None, "ms")
        bench.lab.fill(name, messages.uniform(NEW, OCTETS, KNOWN + NEW + 1))
        run, _ = bench.mbsync(name, False, proxy.port, place)
        figure("mbsync imap, %d new: flights" % NEW, proxy.flights[-1], None)
        figure("    wall", run.seconds * 1000, None, "ms")
    bench.lab.empty(name)


def memory(bench):
    import messages
    print("Peak resident size")
    for protocol in ("imap", "pop3"):
        name = "memory-" + protocol
        bench.lab.fill(name, [messages.large(50_000_000)])
        home = bench.home(name, protocol)
        run = bench.mailhaul(home)
        expect(home.path, 1, "mailhaul")
        figure("mailhaul %s, one message of 50 MB" % protocol, run.peak, 14, "MB", "%.1f")
        shutil.rmtree(home.path)
        bench.lab.empty(name)
    bench.lab.fill("memory-many", messages.uniform(KNOWN, OCTETS))
    for protocol in ("imap", "pop3"):
        home = bench.home("memory-many", protocol)
        run = bench.mailhaul(home)
        expect(home.path, KNOWN, "mailhaul")
        figure("mailhaul %s, %d messages of 4 KB" % (protocol, KNOWN), run.peak, 20, "MB", "%.1f")
        run = bench.mailhaul(home)
        figure("    and a poll with nothing new", run.peak, 20, "MB", "%.1f")
        shutil.rmtree(home.path)
    bench.lab.empty("memory-many")


def speed(bench):
    """Nothing is deleted before the end: ext4 does not use inodes again for minutes, and searching
    past them would be charged to whoever comes next."""
    import messages
    print("%d messages of 4 KB from loopback into a Maildir, over STARTTLS, median of %d" % (
        KNOWN, ROUNDS))
    bench.lab.fill("speed", messages.uniform(KNOWN, OCTETS))
    bench.mbsync("speed", False)  # so that the server has its index
    runs = {"mailhaul": [], "mbsync, FSync off": [], "mbsync, FSync on": []}
    for _ in range(ROUNDS):
        for who, of in runs.items():
            os.sync()
            if who == "mailhaul":
                home = bench.home("speed")
                run, place = bench.mailhaul(home), home.path
            else:
                run, place = bench.mbsync("speed", who.endswith("on"))
            expect(place, KNOWN, who)
            of.append(run)
    for who, of in runs.items():
        figure("%s: wall" % who, statistics.median(run.seconds for run in of), None, "s", "%.2f")
        figure("%s: CPU" % who, statistics.median(run.cpu for run in of), None, "s", "%.2f")
    for other in list(runs)[1:]:
        for what, get in (("wall", lambda run: run.seconds), ("CPU", lambda run: run.cpu)):
            ratio = statistics.median(get(mine) / get(theirs) for mine, theirs in zip(
                runs["mailhaul"], runs[other]))
            figure("mailhaul / %s: %s" % (other, what), ratio,
                   1 if other.endswith("off") else None, "", "%.2f")
    bench.lab.empty("speed")


def recognise(bench):
    """The server numbers KNOWN messages anew."""
    import messages
    from lab import HOST
    from proxy import Proxy
    print("Recognising %d messages of 4 KB after a new numbering, at a round trip of %d ms" % (
        KNOWN, ROUND_TRIP * 1000))
    for protocol in ("imap", "pop3"):
        name = "recognise-" + protocol
        bench.lab.fill(name, messages.uniform(KNOWN, OCTETS))
        home = bench.home(name, protocol)
        bench.mailhaul(home)
        expect(home.path, KNOWN, "mailhaul")
        time.sleep(1.01)  # UIDVALIDITY is the second in which Dovecot made the mailbox
        for one in os.listdir(bench.lab.mailbox(name)):
            if one.startswith("dovecot"):
                os.remove(os.path.join(bench.lab.mailbox(name), one))
        with Proxy(HOST, bench.lab.ports[protocol], ROUND_TRIP) as proxy:
            home.configure({"box": home.account(name, protocol, auth="plain", port=proxy.port)})
            run = bench.mailhaul(home)
            expect(home.path, KNOWN, "mailhaul")
            figure("mailhaul %s: wall" % protocol, run.seconds, None, "s", "%.2f")
            figure("    CPU", run.cpu, None, "s", "%.2f")
            figure("    flights", proxy.flights[-1], None)
            figure("    memory", run.peak, None, "MB", "%.1f")
            figure("    messages a second", KNOWN / run.seconds, None)
        bench.lab.empty(name)


def rows(bench):
    """What an empty poll reads of the state must not grow with what is remembered."""
    import memory
    import messages
    print("Rows that an empty poll reads of the state, in all, and steps of SQLite's machine")
    counter = bench.lab.file("count_rows.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", counter,
                    os.path.join(HERE, "count_rows.c")], check=True)
    for keep in (True, "30d", False):
        before = None
        for remembered in (1_000, 1_000_000):
            name = "rows-%s-%d" % (str(keep).lower(), remembered)
            bench.lab.fill(name, messages.uniform(10, 300))
            home = bench.home(name)
            bench.mailhaul(home)
            home.configure({"box": home.account(name, auth="plain", keep=keep)})
            remember(home, memory.REMOVED if keep is False else memory.DELIVERED, remembered)
            said = home.file("rows")
            home.env = {**home.env, "LD_PRELOAD": counter}
            bench.mailhaul(home)
            home.env["COUNT_ROWS"] = said
            bench.mailhaul(home)
            with open(said) as file:
                read, steps = map(int, file.read().split())
            figure("keep: %s, %d remembered: rows" % (str(keep).lower(), remembered), read,
                   before and before[0])
            figure("    steps", steps, before and before[1] * 1.1)
            before = before or (read, steps)
            bench.lab.empty(name)


def remember(home, state, count):
    """So many messages more, which were delivered an hour ago."""
    import memory
    now = int(time.time()) - 3600
    with memory.opened(home) as db:
        mailbox, validity = db.execute("SELECT id, validity FROM mailbox").fetchone()
        gone = now if state == memory.REMOVED else 0
        db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, ?, 4096, ?, ?)", (
            (mailbox, validity, str(1000 + i), state, now, now, "letter-%d" % i, "%032x" % i, now,
             gone) for i in range(count)))


def finish():
    if missed:
        print("not reached: " + "; ".join(missed))
    sys.exit(1 if missed else 0)


def main():
    user.continue_unprivileged()
    import runner
    from lab import Lab
    runner.interrupt_on_term()
    parts = {"flights": flights, "memory": memory, "speed": speed, "recognise": recognise,
             "rows": rows}
    with Lab() as lab:
        bench = Bench(lab)
        for name in sys.argv[1:] or parts:
            parts[name](bench)
            print()
    finish()


if __name__ == "__main__":
    main()
