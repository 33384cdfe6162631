"""Many accounts in one daemon: what they cost, and what it does where descriptors are short."""
import contextlib
import os
import re
import resource
import signal
import socket
import threading
import time

import lab as laboratory

from crowd import Crowd, CrowdLab, Daemon
from lab import wait_for
from runner import case

FEW, MANY, LIMIT_KB = 8, 68, 25


def burst(crowd, subject="burst", seconds=30):
    """A message to each account; each must arrive, once."""
    for user in crowd.users:
        crowd.send(user, subject)
    wait_for(lambda: all(subject in crowd.subjects(user) for user in crowd.users), seconds,
             "lost: %s" % [user for user in crowd.users if subject not in crowd.subjects(user)])


def once(crowd, *subjects):
    """Each account has a letter of each of these, and no other."""
    for user in crowd.users:
        assert sorted(crowd.subjects(user)) == sorted(subjects), (user, crowd.subjects(user))


@case(deadline=90)
def crowd_is_cheap(_lab, home):
    """Connections that listen over TLS take 25 KB each at most, and a burst over all of them
    arrives once."""
    used = {}
    with CrowdLab() as lab:
        for count in (FEW, MANY):
            crowd = Crowd(lab, "crowd%d-" % count, count)
            with Daemon(crowd.home) as daemon:
                daemon.listening(count, 40)
                time.sleep(0.5)
                used[count] = daemon.memory()
                before = daemon.cpu()
                time.sleep(2)
                assert daemon.cpu() - before <= 0.05, "%.2f s of CPU" % (daemon.cpu() - before)
                burst(crowd)
                daemon.listening(count, 10)
                assert not daemon.said(), daemon.said()
            once(crowd, "burst")
    each = (used[MANY] - used[FEW]) / (MANY - FEW)
    sanitized = "asan" in home.binary or "ubsan" in home.binary
    assert sanitized or each <= LIMIT_KB, "%.1f KB for each connection" % each


def limit(descriptors):
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                     (descriptors, descriptors))}


@case()
def crowd_with_too_few_descriptors(lab, home):
    """What is missing is said; who finds no place to listen is polled."""
    crowd = Crowd(lab, os.path.basename(home.path) + "-", 12, interval="10s")
    with Daemon(crowd.home, **limit(94)) as daemon:
        daemon.listening(6, 20)
        burst(crowd)
        time.sleep(1.5)
        assert daemon.look() == {"accounts": 12, "listening": 6, "backoff": 0}, daemon.look()
        assert re.fullmatch(
            "[^\n]*mailhaul: [^\n]*up to 364 file descriptors are needed, for 12 visits at once and 12 "
            "mailboxes to listen in, and this process may have 94 [^\n]*: it makes 1 visits at "
            "once, listens in 6 mailboxes, and polls the others\n", daemon.said()), daemon.said()
    once(crowd, "burst")


@case()
def crowd_runs_out_of_descriptors(lab, home):
    """It lives on, says so once, and nothing is lost or doubled."""
    crowd = Crowd(lab, os.path.basename(home.path) + "-", 8)
    with Daemon(crowd.home) as daemon:
        daemon.listening(8, 20)
        limits = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (10, limits[1]))
        with contextlib.suppress(TimeoutError):
            burst(crowd, seconds=3)
        wait_for(lambda: daemon.look()["backoff"] == 8, 10, daemon.look())
        assert not any(crowd.subjects(user) for user in crowd.users)
        assert daemon.said().count("no file descriptor is left") == 1, daemon.said()
        assert daemon.said().count("\n") == 1, daemon.said()
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, limits)
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.listening(8, 10)
        burst(crowd, "later", 10)
    once(crowd, "burst", "later")


class Relay:
    """Between a client and the server, until it is cut; then it takes new connections."""

    def __init__(self, port):
        self.target, self.open = (laboratory.HOST, port), []
        self.listener = socket.create_server((laboratory.HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            pair = self.listener.accept()[0], socket.create_connection(self.target)
            self.open += pair
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one, other):
        with contextlib.suppress(OSError):
            while octets := one.recv(65536):
                other.sendall(octets)

    def cut(self):
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open = []


@case()
def crowd_waits_with_news(lab, home):
    """While an account with news waits for its turn its connection breaks: it connects again, and
    has a place to listen again, of which there are no more than needed."""
    crowd = Crowd(lab, os.path.basename(home.path) + "-", 2)
    busy, waits = crowd.users
    relay = Relay(lab.ports["imap"])
    crowd.home.write("accounts.d/%s.yaml" % waits, "user: %s\nhost: %s\nport: %d\n"
                     "deliver: {maildir: %s}\n" % (waits, laboratory.HOST, relay.port,
                                                  crowd.home.file("mail", waits)))
    crowd.home.write("accounts.d/%s.yaml" % busy, "user: %s\nhost: %s\ndeliver: {mda: [%s]}\n" % (
        busy, laboratory.HOST, crowd.home.script(
            "mda", "cat >/dev/null; touch %s; sleep 4" % crowd.home.file("busy"))))
    with Daemon(crowd.home, **limit(64 + 24 + 2)) as daemon:
        daemon.listening(2, 20)
        for number in range(1, 4):
            crowd.send(busy, str(number))
            wait_for(lambda: os.path.exists(crowd.home.file("busy")), 10, daemon.said())
            crowd.send(waits, str(number))
            time.sleep(1.5)
            assert len(crowd.subjects(waits)) == number - 1, "it did not wait for its turn"
            relay.cut()
            wait_for(lambda: len(crowd.subjects(waits)) == number, 10, daemon.said())
            os.remove(crowd.home.file("busy"))
            time.sleep(1.5)
            assert daemon.look()["listening"] == 2, daemon.look()
    assert len(lab.logins(waits)) == 4, lab.logins(waits)
