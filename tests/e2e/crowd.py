"""A Dovecot that holds thousands of connections, and a daemon with an account for each of them.

What Dovecot needs for that: one process of `imap` serves many (otherwise each connection is a
process, or after imap_hibernate_timeout still an inotify instance, of which a user may have 128);
of `imap-login`, which carries the TLS and holds two descriptors for each connection, there are two.
Where one process serves many, only one of those who listen in the same mailbox is told at once.
"""
import contextlib
import os
import re
import select
import signal
import smtplib
import socket
import ssl
import threading
import time

import lab as laboratory
from lab import NAME, SECRET, Lab, wait_for
from program import Home
from user import TREE

# Several hosts to mailhaul, and one server; those in between have certificates that are refused.
HOSTS = ["127.0.0.2"] + ["127.0.0.%d" % number for number in range(10, 25)]

CROWD = """
listen = {addresses}
log_timestamp = "%Y-%m-%d %H:%M:%S.%{{usecs}} "
verbose_ssl = {verbose}
default_vsz_limit = 0
default_client_limit = 20000
service imap-login {{
  process_min_avail = 2
  process_limit = 2
  client_limit = 6000
}}
service imap {{
  service_count = 0
  client_limit = {each}
  process_limit = {processes}
}}
"""

# Unpacked by `make bench-idle`.
LMTP_PROGRAM = os.path.join(TREE, "build", "lmtpd", "usr", "lib", "dovecot", "lmtp")
LMTP = """
protocols = imap pop3 lmtp
service lmtp {{
  executable = {program}
  inet_listener lmtp {{
    address = 127.0.0.2
    port = {lmtp}
  }}
}}
"""


class CrowdLab(Lab):
    """verbose: the log tells of each step of each TLS handshake. each: how many connections one
    process serves."""

    def __init__(self, verbose=False, each=1000):
        self.verbose, self.each, self.skipped = verbose, each, 0
        super().__init__()

    def _configure(self):
        super()._configure()
        with open(self.file("dovecot.conf"), "a") as file:
            file.write(CROWD.format(addresses=", ".join(HOSTS), each=self.each,
                                    processes=12_000 // self.each,
                                    verbose="yes" if self.verbose else "no"))
            if os.path.exists(LMTP_PROGRAM):
                self.ports["lmtp"] = laboratory.free_ports(1)[0]
                file.write(LMTP.format(program=LMTP_PROGRAM, lmtp=self.ports["lmtp"]))

    def lmtp(self):
        """A client of its LMTP, which goes on for many messages."""
        return smtplib.LMTP(laboratory.HOST, self.ports["lmtp"])

    def forget_log(self):
        """What the log has held so far is no matter any more."""
        self.skipped = os.path.getsize(self.file("dovecot.log"))

    def log(self):
        with open(self.file("dovecot.log"), errors="replace") as file:
            file.seek(self.skipped)
            return file.read()

    def handshakes(self):
        """(time, +1 or -1) for each TLS handshake that began or ended, as the log has it."""
        found = re.findall(r"^\S+ (\d+):(\d+):(\d+\.\d+) imap-login: .*SSL: where=(0x10|0x20),",
                           self.log(), re.M)
        return [(3600 * int(hour) + 60 * int(minute) + float(second), 1 if where == "0x10" else -1)
                for hour, minute, second, where in found]


class Daemon:
    """`with Daemon(home) as daemon:` runs until the block ends; tells what it says of itself to the
    service manager."""

    def __init__(self, home, *args, **how):
        self.home, self.args, self.how = home, args, how
        self.status, self.process = {}, None

    def __enter__(self):
        path = self.home.file("notify")
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        with open(self.home.file("daemon.err"), "ab") as err:
            self.process = self.home.start(*self.args, "daemon", env={"NOTIFY_SOCKET": path},
                                           stdout=err, stderr=err, **self.how)
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                code = self.process.wait(10)
                assert kind or code == 0, "exit %s: %s" % (code, self.said())
            elif not kind:
                raise AssertionError("it ended: " + self.said())
        finally:
            laboratory.end_group(self.process)
            self.socket.close()

    def said(self):
        with open(self.home.file("daemon.err"), errors="replace") as file:
            return file.read()

    def look(self):
        """The numbers of its last status line: accounts, listening, backoff."""
        with contextlib.suppress(BlockingIOError):
            while True:
                found = re.search(r"STATUS=(\d+) accounts, (\d+) listening, (\d+) in backoff",
                                  self.socket.recv(4096).decode())
                if found:
                    self.status = dict(zip(("accounts", "listening", "backoff"),
                                           map(int, found.groups())))
        return self.status

    def listening(self, count, seconds):
        """Waits until so many listen; gives the seconds since the start."""
        wait_for(lambda: self.process.poll() is not None or
                 self.look().get("listening", 0) >= count, seconds,
                 "%s of %d listen; it said: %s" % (self.status, count, self.said()[-2000:]))
        assert self.process.poll() is None, self.said()
        return time.monotonic() - self.began

    def _status(self, key):
        with open("/proc/%d/status" % self.process.pid) as file:
            return int(re.search(r"^%s:\s+(\d+)" % key, file.read(), re.M).group(1))

    def memory(self):
        """KB of its own: what it shares with nobody and no file holds (RssAnon)."""
        return self._status("RssAnon")

    def peak(self):
        return self._status("VmHWM")

    def cpu(self):
        """Seconds of CPU, in all its threads, so far."""
        with open("/proc/%d/stat" % self.process.pid) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crowd:
    """Accounts by the names of their users, NAME00000 and so on; each has a Maildir of its own."""

    def __init__(self, lab, name, count, hosts=HOSTS[:1], **keys):
        self.lab, self.home = lab, Home(lab, lab.file("homes", name))
        self.users = ["%s%05d" % (name, number) for number in range(count)]
        self.home.configure({}, defaults=self.home.account(
            None, host=None, auth="plain", deliver=None, timeout=None,
            tls={"mode": "starttls", "ca_file": lab.ca, "server_name": NAME}, **keys))
        for number, user in enumerate(self.users):
            self.home.write("accounts.d/%s.yaml" % user, "user: %s\nhost: %s\ndeliver: {maildir: %s}\n"
                            % (user, hosts[number % len(hosts)], self.home.file("mail", user)))
    def new(self, user):
        """The letters of a user that have arrived."""
        place = self.home.file("mail", user, "new")
        try:
            return [os.path.join(place, name) for name in os.listdir(place)]
        except FileNotFoundError:
            return []

    def subjects(self, user):
        """The Subject lines of the letters that have arrived, each as often as it did."""
        found = []
        for path in self.new(user):
            with open(path, "rb") as file:
                found += re.findall(rb"^Subject: (.*)$", file.read(), re.M)[:1]
        return [one.decode() for one in found]

    def send(self, user, subject):
        """One message into the user's INBOX, as a file."""
        place = self.lab.mailbox(user)
        laboratory.make_maildir(place)
        name = "%d.%s.crowd" % (time.time(), os.urandom(8).hex())
        with open(os.path.join(place, "tmp", name), "w") as file:
            file.write("From: a@strangers.test\nTo: %s@lab.test\nMessage-ID: <%s@strangers.test>\n"
                       "Subject: %s\n\n%s\n" % (user, name, subject, "text\n" * 200))
        os.rename(os.path.join(place, "tmp", name), os.path.join(place, "new", name))


class Ear:
    """A plain client that listens in a user's INBOX, in a thread: when the server told of what."""

    def __init__(self, lab, user):
        self.heard = []
        context = ssl.create_default_context(cafile=lab.ca)
        plain = socket.create_connection((laboratory.HOST, lab.ports["imap"]))
        plain.recv(4096)
        plain.sendall(b"a STARTTLS\r\n")
        plain.recv(4096)
        self.socket = context.wrap_socket(plain, server_hostname=NAME)
        secret = SECRET.replace("\\", "\\\\").replace('"', '\\"')
        self._say("b", 'LOGIN "%s" "%s"' % (user, secret))
        self._say("c", "SELECT INBOX")
        self.socket.sendall(b"d IDLE\r\n")
        self.socket.recv(4096)
        threading.Thread(target=self._listen, daemon=True).start()

    def _say(self, tag, command):
        self.socket.sendall(("%s %s\r\n" % (tag, command)).encode())
        answer = b""
        while not re.search(rb"^%s OK" % tag.encode(), answer, re.M):
            piece = self.socket.recv(4096)
            assert piece, answer
            answer += piece

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                select.select([self.socket], [], [])
                now = time.time()
                piece = self.socket.recv(4096)
                if not piece:
                    return
                for count in re.findall(rb"(\d+) EXISTS", piece):
                    self.heard.append((now, int(count)))

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
