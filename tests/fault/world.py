"""What a daemon lives in for weeks: clocks, lines that break, a Dovecot that is restarted and gets new
certificates, and servers of moods. Each is calm until it is told otherwise.
"""
import contextlib
import ctypes
import mmap
import os
import random
import select
import signal
import socket
import struct
import threading
import time

import lab as laboratory
from actions import HONEST, HOST, Hangup, Reset, Stall
from server import ImapServer, Pop3Server


class Clock:
    """Steers fast_clock.c, and has the same time."""

    def __init__(self, path, times):
        with open(path, "wb") as file:
            file.write(struct.pack("@qqqq", time.monotonic_ns(), times, 0, 0))
        with open(path, "r+b") as file:
            self.wheel = (ctypes.c_int64 * 4).from_buffer(mmap.mmap(file.fileno(), 32))
        self.path, self.times, self.nights, self.suspends = path, times, 0, 0
        self.began = self.now()

    def now(self):
        begun, times, held, slept = self.wheel
        return time.time() + ((time.monotonic_ns() - begun) * (times - 1) + held + slept) / 1e9

    def night(self, seconds):
        """Nothing runs for so long, and then all that was to be done is due."""
        self.nights += 1
        self.wheel[2] += int(seconds * 1e9)

    def suspend(self, seconds):
        """The machine sleeps, and what waits for a time goes on waiting."""
        self.suspends += 1
        self.wheel[3] += int(seconds * 1e9)

    def passed(self):
        return self.now() - self.began


class Pair:
    """A connection through a line: both its ends. cut: after so many octets; None: never."""

    def __init__(self, client, server, cut, silent):
        self.ends, self.cut, self.silent = (client, server), cut, silent
        self.octets, self.running = 0, 2

    def end(self, reset):
        for one in self.ends:
            with contextlib.suppress(OSError):
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)


class Line:
    """A proxy to a server, for many connections. rough: which share of them is cut after a random
    number of octets, or says nothing more from there on."""

    def __init__(self, port, seed):
        self.target, self.chance = (HOST, port), random.Random(seed)
        self.rough, self.cuts, self.silences = 0.0, 0, 0
        self.lock, self.pairs = threading.Lock(), []
        self.listener = socket.create_server((HOST, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(self.target, 5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self.lock:
                cut = self.chance.random() < self.rough
                pair = Pair(client, server, int(10 ** self.chance.uniform(1, 5)) if cut else None,
                            cut and self.chance.random() < 0.15)
                self.pairs = [one for one in self.pairs if one.running] + [pair]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(pair, one, other), daemon=True).start()

    def _carry(self, pair, source, target):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                pair.octets += len(octets)
                beyond = 0 if pair.cut is None else max(pair.octets - pair.cut, 0)
                if not beyond:
                    target.sendall(octets)
                elif pair.silent:
                    self.silences += pair.octets - len(octets) < pair.cut
                else:
                    target.sendall(octets[:max(len(octets) - beyond, 0)])
                    self._cut(pair)
                    break
        with self.lock:
            pair.running -= 1
            running = pair.running
        pair.end(False)
        if not running:
            for one in pair.ends:
                one.close()

    def _cut(self, pair):
        with self.lock:
            self.cuts += 1
            reset = self.chance.random() < 0.5
        pair.end(reset)

    def cut(self, share):
        """Cuts that share of the connections there are."""
        with self.lock:
            pairs = [pair for pair in self.pairs if pair.running and self.chance.random() < share]
        for pair in pairs:
            self._cut(pair)


# Starts Dovecot again whenever it ends, unless it is to stay away. What it starts goes with it.
KEEPER = """
trap 'kill -TERM $pid; wait $pid; exit' TERM
while :; do
    [ -e "$2" ] || { /usr/sbin/dovecot -F -c "$1" 2>>"$3" & pid=$!; wait $pid; }
    sleep 0.1
done
"""


class Dovecot(laboratory.Lab):
    """A Dovecot that can be restarted, and gets new certificates. Clients trust client_ca."""

    def __init__(self):
        self.renewals = self.restarts = 0
        super().__init__()

    def command(self):
        return ["/bin/sh", "-c", KEEPER, "keeper", self.file("dovecot.conf"), self.file("away"),
                self.file("dovecot.err")]

    def _configure(self):
        super()._configure()
        with open(self.file("dovecot.conf")) as file:
            text = file.read().replace("/good.", "/current.")
        with open(self.file("dovecot.conf"), "w") as file:
            file.write(text)
        self.client_ca = self.file("client-ca.pem")
        self.certificates.server("good", [laboratory.NAME], [HOST], "expiration_days = 3000")
        self.make_certificates()

    def make_certificates(self):
        """The CA's own certificate is made anew as well, with the same key."""
        made = self.certificates
        template = made.path("renewed", ".template")
        with open(template, "w") as file:
            file.write('cn = "ca"\nca\ncert_signing_key\nexpiration_days = 3000\n')
        made._certtool("--generate-self-signed", "--load-privkey", made.path("ca", ".key"),
                       "--template", template, "--no-text", "--outfile", made.path("ca-next"))
        made.server("next", [laboratory.NAME], [HOST], "expiration_days = 3000")
        for name in (".pem", ".key"):
            os.replace(made.path("next", name), made.path("current", name))
        os.replace(made.path("ca-next"), self.client_ca)

    def renew(self):
        self.renewals += 1
        self.make_certificates()
        self._signal(signal.SIGHUP)

    def _signal(self, number):
        with contextlib.suppress(OSError, ValueError):
            with open(self.file("run", "master.pid")) as file:
                os.kill(int(file.read()), number)

    def stop(self):
        self.restarts += 1
        with open(self.file("away"), "w"):
            pass
        self._signal(signal.SIGTERM)

    def go_on(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.file("away"))


# ---- servers of moods ----------------------------------------------------------------------------

TRUNCATED = b"* 1 FETCH (UID {uid} BODY[] {100000}\r\nthis is not all"
MOODS = {
    "imap": [[Hangup()], [Reset()], ["{tag} BAD I do not feel like it"],
             ["{tag} NO [UNAVAILABLE] come back later"], ["* BYE I am going", Hangup()],
             [b"\xff\0garbage\r\n\r\n", Hangup()], [Stall()], ["{tag} NO [INUSE] it is in use"],
             ["{tag} NO no"], [b"* OK [ALERT] mind the step\r\n", HONEST]],
    "pop3": [[Hangup()], [Reset()], ["-ERR I do not feel like it"], ["-ERR [SYS/TEMP] later"],
             [b"\xff\0garbage\r\n\r\n", Hangup()], [Stall()], ["-ERR [IN-USE] it is in use"]],
}
AT = {("imap", "greeting"): [["* BYE too busy", Hangup()], [Reset()], [b"* O", Hangup()]],
      ("imap", "AUTHENTICATE"): [["{tag} NO [AUTHENTICATIONFAILED] who are you"],
                                 ["{tag} NO [UNAVAILABLE] come back later"], [Reset()]],
      ("pop3", "AUTH"): [["-ERR [AUTH] who are you"], ["-ERR [LOGIN-DELAY] not so often"],
                         [Reset()]],
      ("imap", "body"): [[TRUNCATED, Reset()], [Hangup()], [Stall()]],
      ("pop3", "body"): [[b"+OK\r\nthis is not all\r\n", Reset()], [Hangup()], [Stall()]]}


class Moods:
    """Stands where a server has its answers: share of the steps go wrong, as chance will have it."""

    def __init__(self, protocol, seed):
        self.protocol, self.chance, self.share, self.tricks = protocol, random.Random(seed), 0.0, 0

    def __contains__(self, step):
        return False

    def get(self, step, honest):
        if self.chance.random() >= self.share:
            return honest
        self.tricks += 1
        word = step.split(" ")[0]
        return self.chance.choice(AT.get((self.protocol, word)) or MOODS[self.protocol])


class Moody:
    """Mail comes to it while it serves; a uid is never given twice."""

    def __init__(self, certificates, seed, **how):
        super().__init__(certificates, [], **how)
        self.answers, self.next = Moods(self.protocol, seed), 1

    def add(self, messages):
        for one in messages:
            self.messages[self.next] = one.raw.replace(b"\n", b"\r\n")
            self.next += 1

    def left(self):
        return list(self.messages.values())

    def _serve(self, connection):
        with contextlib.suppress(KeyError, OSError, ValueError):  # gone by another connection
            super()._serve(connection)


class MoodyImap(Moody, ImapServer):
    """news: while a client listens, it tells of new mail all the time, though there is none."""

    ENCRYPTED = ImapServer.ENCRYPTED + " IDLE"
    news = False

    def on_status(self, wire, fill, rest):
        name = rest.partition(" ")[2].rpartition(" (")[0]
        self.play(wire, "STATUS", fill, lambda: [
            "* STATUS %s (MESSAGES %d UIDNEXT %d UIDVALIDITY 77)" % (
                name, len(self.messages), self.next), "{tag} OK done"])

    def on_select(self, wire, fill, _rest):
        wire.known = len(self.messages)
        self.play(wire, "SELECT", fill, lambda: [
            "* FLAGS (\\Seen \\Deleted)", "* %d EXISTS" % wire.known, "* 0 RECENT",
            "* OK [UIDVALIDITY 77] ok", "* OK [UIDNEXT %d] ok" % self.next,
            "{tag} OK selected"])

    on_examine = on_select

    def on_idle(self, wire, fill, _rest):
        self.play(wire, "IDLE", fill, lambda: ["+ idling"])
        while b"\n" not in wire.buffer:
            there = len(self.messages)
            wire.known = min(wire.known, there) if not self.news else wire.known
            if there > wire.known or self.news:
                wire.known += 1
                wire.send(b"* %d EXISTS\r\n" % max(there, wire.known))
            if wire.socket.pending() or select.select([wire.socket], [], [], 0.05)[0]:
                wire.buffer += wire.receive()
        wire.line()
        wire.send(b"%s OK done\r\n" % fill["tag"].encode())


class MoodyPop3(Moody, Pop3Server):
    pass

