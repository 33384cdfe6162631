#!/usr/bin/python3
"""What thousands of connections cost that listen (IDLE) over TLS (STARTTLS), in one daemon.

Every figure is printed with what it may be at most; the exit code is 1 if one is not reached.
bench_idle.py [latency] [COUNT...] measures only these; latency, 1000 and 10000 unless told.
"""
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402
from bench import figure, finish  # noqa: E402

COUNTS = (1_000, 10_000)
FEW = 8             # accounts of the daemon whose memory is subtracted
MEMORY = 25         # KB for each connection
IDLE = 1            # percent of a core
QUIET = 60, 300     # seconds in which nothing happens: at least; one interval, in which each account
                    # begins its IDLE anew once
LATENCY, EARS = 200, 20


def load():
    return "load of the machine %s, %d cores" % (
        " ".join("%.1f" % one for one in os.getloadavg()), os.cpu_count())


def percent(daemon, seconds):
    """CPU while nothing happens, in percent of a core."""
    before, began = daemon.cpu(), time.monotonic()
    time.sleep(seconds)
    return 100 * (daemon.cpu() - before) / (time.monotonic() - began)


def most_at_once(handshakes):
    """The most TLS handshakes that were under way at one moment; and in any one second begun. They
    are in the order in which the server told of them, whose clock is coarser."""
    now = most = 0
    for _, step in handshakes:
        now += step
        most = max(most, now)
    begun = sorted(at for at, step in handshakes if step > 0)
    second = first = 0
    for last, at in enumerate(begun):
        while begun[first] < at - 1:
            first += 1
        second = max(second, last - first + 1)
    return most, second


def hold(lab, count, few):
    """Everything about so many connections, but for latency."""
    from crowd import HOSTS, Crowd, Daemon
    hosts = HOSTS if count > 2_000 else HOSTS[:1]
    print("%d connections to %d host%s, each with a Maildir; %s" % (
        count, len(hosts), "s" if len(hosts) > 1 else "", load()), flush=True)
    crowd = Crowd(lab, "many%d-" % count, count, hosts)
    lab.forget_log()
    with Daemon(crowd.home) as daemon:
        start(lab, daemon, count, len(hosts))
        memory = daemon.memory()
        figure("memory of its own (RssAnon) for each", (memory - few) / (count - FEW), MEMORY, "KB",
               "%.1f")
        figure("    in all", memory / 1024, None, "MB", "%.1f")
        figure("    at most so far, files it maps included (VmHWM)", daemon.peak() / 1024, None,
               "MB", "%.1f")
        seconds = QUIET[1] if count > 2_000 else QUIET[0]
        figure("CPU while nothing happens, over %d s" % seconds, percent(daemon, seconds), IDLE,
               "%", "%.2f")
        burst(crowd, daemon, count)
        memory = daemon.memory()
        figure("memory (RssAnon) for each after the burst", (memory - few) / (count - FEW), MEMORY,
               "KB", "%.1f")
        if count < 2_000:
            whole(daemon, count)
    print("A restart with %d accounts; %s" % (count, load()), flush=True)
    lab.forget_log()
    with Daemon(crowd.home) as daemon:
        start(lab, daemon, count, len(hosts))
        figure("peak memory (VmHWM)", daemon.peak() / 1024, None, "MB", "%.1f")
        check(crowd, 1)


def start(lab, daemon, count, hosts):
    took = daemon.listening(count, 60 + count)
    cpu = daemon.cpu()
    figure("until all listen", took, None, "s", "%.1f")
    figure("    accounts a second", count / took, None)
    figure("    CPU", cpu, None, "s", "%.1f")
    figure("    CPU for each", 1000 * cpu / count, None, "ms", "%.2f")
    most, second = most_at_once(lab.handshakes())
    figure("    handshakes at once, over all hosts, as the server saw them", most, 4 * hosts)
    figure("    handshakes begun in one second, over all hosts", second, None)


def burst(crowd, daemon, count):
    """A message to each, as fast as they can be written."""
    cpu, began = daemon.cpu(), time.monotonic()
    for name in crowd.users:
        crowd.send(name, "burst")
    sent = time.monotonic() - began
    missing = set(crowd.users)
    until = time.monotonic() + 60 + count / 10
    while missing and time.monotonic() < until:
        missing -= {name for name in missing if crowd.new(name)}
        time.sleep(0.2)
    took = time.monotonic() - began
    daemon.listening(count, 60)
    time.sleep(2)
    figure("a burst of a message to each: until all are delivered", took, None, "s", "%.1f")
    figure("    of which writing them took", sent, None, "s", "%.1f")
    figure("    CPU for each", 1000 * (daemon.cpu() - cpu) / count, None, "ms", "%.2f")
    check(crowd, 1)


def check(crowd, want):
    counts = [len(crowd.new(name)) for name in crowd.users]
    figure("    lost", sum(one < want for one in counts), 0)
    figure("    doubled", sum(one > want for one in counts), 0)


def whole(daemon, count):
    """Once an hour each account is visited although it listens; here all of them, one time."""
    import signal
    cpu = daemon.cpu()
    daemon.process.send_signal(signal.SIGUSR1)
    before = None
    while before is None or daemon.cpu() - before > 0.02:
        before = daemon.cpu()
        time.sleep(3)
    each = (daemon.cpu() - cpu) / count
    figure("CPU of a visit in which nothing is new", 1000 * each, None, "ms", "%.2f")
    figure("    of 10,000 of them, spread over the hour", 100 * each * 10_000 / 3600, None, "%",
           "%.2f")


def few_kb(lab):
    """The memory of a daemon with a few accounts, which visits and listens as the large one does."""
    from crowd import Crowd, Daemon
    crowd = Crowd(lab, "few", FEW)
    with Daemon(crowd.home) as daemon:
        daemon.listening(FEW, 60)
        time.sleep(1)
        return daemon.memory()


def latency(lab):
    """From the moment at which LMTP has accepted a message to the file in new/. Dovecot tells of new
    mail half a second after it came (NOTIFY_DELAY_MSECS), for which it has no setting: that another
    client shows."""
    from crowd import Crowd, Daemon, Ear
    print("Latency of %d messages, by LMTP to %d accounts in turn; %s" % (LATENCY, EARS, load()))
    crowd = Crowd(lab, "latency", EARS)
    accepted = {}
    with Daemon(crowd.home) as daemon:
        daemon.listening(EARS, 60)
        ears = {name: Ear(lab, name) for name in crowd.users}
        lmtp = lab.lmtp()
        lmtp.ehlo("lab.test")
        for number in range(LATENCY):
            name = crowd.users[number % EARS]
            lmtp.sendmail("a@strangers.test", [name], "Subject: %s/%d\r\n\r\ntext\r\n" % (
                name, number // EARS + 1))
            accepted[name, number // EARS + 1] = time.time()
            time.sleep(0.1)
        lmtp.quit()
        time.sleep(3)
        for ear in ears.values():
            ear.close()
    arrived, letters = {}, 0
    for name in crowd.users:
        for path in crowd.new(name):
            with open(path, "rb") as file:
                subject = [line for line in file if line.startswith(b"Subject: ")][0].decode()
            # The rename to new/ is the last change of the file.
            arrived[name, int(subject.rpartition("/")[2])] = os.stat(path).st_ctime
            letters += 1
    told = {(name, number): at for name, ear in ears.items() for at, number in ear.heard}
    figure("lost", LATENCY - len(arrived), 0)
    figure("doubled", letters - len(arrived), 0)
    show("from LMTP's acceptance to the file in new/", arrived, accepted)
    show("    of which until the server tells another client", told, accepted)
    show("    and from then on", arrived, told)


def show(what, ends, begins):
    spans = sorted(ends[key] - begins[key] for key in begins if key in ends)
    figure("%s: median" % what, 1000 * statistics.median(spans), None, "ms")
    figure("%s: p99" % what, 1000 * spans[int(len(spans) * 0.99)],
           1000 if what.startswith("from LMTP") else None, "ms")


def main():
    user.continue_unprivileged()
    import runner
    from crowd import CrowdLab
    runner.interrupt_on_term()
    words = sys.argv[1:] or ["latency", *COUNTS]
    if "latency" in words:
        with CrowdLab(each=1) as lab:
            if "lmtp" not in lab.ports:
                raise SystemExit("there is no LMTP of Dovecot's: make bench-idle unpacks it")
            latency(lab)
        print()
    counts = [int(word) for word in words if word != "latency"]
    if counts:
        with CrowdLab(verbose=True) as lab:
            few = few_kb(lab)
            for count in counts:
                hold(lab, count, few)
                print()
    finish()


if __name__ == "__main__":
    main()
