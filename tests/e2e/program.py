"""mailhaul as a test runs it: a home with a configuration, and what lies in Maildirs afterwards."""
import collections
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import lab as laboratory
from user import TREE

BUILD = os.path.join(TREE, os.environ.get("MAILHAUL_BUILD", "build"))
BINARY = os.path.join(BUILD, "mailhaul")
CRASH_BINARY = os.path.join(BUILD, "crash", "mailhaul")

# The lines mailhaul puts in front of a message.
OURS = re.compile(rb"^Received: [^\n]*\n(?:[ \t][^\n]*\n)*X-Mailhaul-Id: ([0-9a-f]{32})\n", re.M)


class Result:
    """code, out and err (text), seconds."""

    def __init__(self, code, out, err, seconds):
        self.code, self.seconds = code, seconds
        self.out = out.decode(errors="replace")
        self.err = err.decode(errors="replace")

    def __repr__(self):
        return "exit %s after %.1f s\n--- stdout\n%s\n--- stderr\n%s" % (
            self.code, self.seconds, self.out[-3000:], self.err[-3000:])

    @property
    def json(self):
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]


def take_terminal():
    """The terminal of standard input becomes the process's own, so that its keys send signals."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Home:
    """A directory with a configuration, a state, and Maildirs of one test."""

    def __init__(self, lab, path, binary=BINARY):
        self.lab, self.path, self.binary = lab, path, binary
        self.env = {"HOME": path, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                    "LANG": "C.UTF-8", "TMPDIR": path, "LOGNAME": lab.me, "USER": lab.me,
                    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
                    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99",
                    "TSAN_OPTIONS": "exitcode=99:suppressions=" +
                                    os.path.join(TREE, "tests", "e2e", "tsan.supp")}
        os.makedirs(path, exist_ok=True)

    def file(self, *names):
        return os.path.join(self.path, *names)

    def write(self, name, text, mode=0o600):
        path = self.file(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def script(self, name, text):
        """An executable shell script."""
        return self.write(name, "#!/bin/sh\n" + text, 0o700)

    # ---- configuration ---------------------------------------------------------------------------

    def account(self, user, protocol="imap", implicit=False, **keys):
        """The keys of an account at the laboratory's server; None takes a key away."""
        port = self.lab.ports[protocol + ("s" if implicit else "")]
        account = {"protocol": protocol, "host": laboratory.HOST, "port": port,
                   "tls": {"mode": "implicit" if implicit else "starttls",
                           "ca_file": self.lab.ca},
                   "user": user, "password": laboratory.SECRET, "timeout": "20s",
                   "deliver": {"maildir": self.file("Maildir")}}
        account.update(self.lab.account_keys)
        account.update(keys)
        return {key: value for key, value in account.items() if value is not None}

    def configure(self, accounts, **top):
        """Writes config.yaml; JSON scalars and flows are YAML."""
        top = {"state_dir": self.file("state"), **top}
        text = "".join("%s: %s\n" % (key, json.dumps(value)) for key, value in top.items())
        text += "accounts:\n"
        for name, keys in accounts.items():
            text += "  %s:\n" % name
            text += "".join("    %s: %s\n" % (key, json.dumps(value))
                            for key, value in keys.items())
        return self.write("config.yaml", text)

    # ---- running ---------------------------------------------------------------------------------

    def argv(self, *args):
        return [self.binary, "-c", self.file("config.yaml"), *args]

    def start(self, *args, env=(), **how):
        """A process under way, leader of a group of its own."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
               "stderr": subprocess.PIPE, **how}
        return subprocess.Popen(self.argv(*args), env={**self.env, **dict(env)}, cwd=self.path,
                                start_new_session=True, **how)

    def run(self, *args, env=(), timeout=60, **how):
        began = time.monotonic()
        process = self.start(*args, env=env, **how)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            laboratory.end_group(process)
            out, err = process.communicate()
            raise AssertionError("%s did not end within %d s; it said: %s" % (
                args, timeout, (out + err)[-2000:].decode(errors="replace")))
        return Result(process.returncode, out or b"", err or b"", time.monotonic() - began)

    def poll(self, *args, code=0, **how):
        """`mailhaul poll`, and the exit code must be this one."""
        result = self.run(*args, "poll", **how)
        assert result.code == code, "poll: expected exit %d: %r" % (code, result)
        return result

    def on_terminal(self, *args, timeout=60, keys=b"", after=0):
        """Runs on a pseudo-terminal; everything it wrote is in out. The keys are pressed after so
        many seconds."""
        leader, follower = pty.openpty()
        began = time.monotonic()
        process = subprocess.Popen(self.argv(*args), env={**self.env, "TERM": "xterm"},
                                   cwd=self.path, start_new_session=True, stdin=follower,
                                   stdout=follower, stderr=follower, preexec_fn=take_terminal)
        os.close(follower)
        out = b""
        while time.monotonic() - began < timeout:
            if keys and time.monotonic() - began > after:
                os.write(leader, keys)
                keys = b""
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    piece = os.read(leader, 65536)
                except OSError:
                    piece = b""
                if not piece:
                    break
                out += piece
        else:
            laboratory.end_group(process)
        os.close(leader)
        return Result(process.wait(), out, b"", time.monotonic() - began)

    # ---- what arrived ----------------------------------------------------------------------------

    def letters(self, maildir="Maildir"):
        return read_maildir(self.file(maildir))

    def log_shows_no_secret(self, result, secret=laboratory.SECRET):
        assert secret not in result.out + result.err, "a secret was printed: %r" % result


class Letter:
    """One file of a Maildir: path, all octets, those in front of our lines (an MDA's), our lines,
    the id, and the message as it was on the server."""

    def __init__(self, path):
        self.path = path
        self.mtime = int(os.stat(path).st_mtime)
        with open(path, "rb") as file:
            self.raw = file.read()
        found = OURS.search(self.raw)
        assert found, "no Received: and X-Mailhaul-Id: in %s: %r" % (path, self.raw[:600])
        self.before, self.ours = self.raw[:found.start()], found.group(0).decode()
        self.id, self.message = found.group(1).decode(), self.raw[found.end():]


def read_maildir(path):
    """Every delivered letter; and tmp/ must hold none."""
    names = [os.path.join(path, part, name) for part in ("new", "cur")
             if os.path.isdir(os.path.join(path, part))
             for name in os.listdir(os.path.join(path, part))]
    return [Letter(name) for name in names]


def unfinished(path):
    tmp = os.path.join(path, "tmp")
    return os.listdir(tmp) if os.path.isdir(tmp) else []


def as_delivered(message, protocol="imap"):
    """What must arrive of a message: LF for CRLF; and POP3 ends every line."""
    raw = message.raw.replace(b"\r\n", b"\n")
    return raw + b"\n" if protocol == "pop3" and raw and not raw.endswith(b"\n") else raw


def compare(messages, letters, protocol="imap", doubled=0):
    """Asserts that exactly these messages arrived, octet by octet; up to `doubled` of them twice."""
    want = collections.Counter(as_delivered(one, protocol) for one in messages)
    got = collections.Counter(one.message for one in letters)
    numbers = {as_delivered(one, protocol): one for one in messages}
    lost, extra = want - got, got - want
    if lost or (doubled == 0 and extra) or sum(extra.values()) > doubled or \
            any(raw not in want for raw in extra):
        names = ["%d (%s)" % (numbers[raw].number, numbers[raw].kind) for raw in lost]
        strange = [raw[:200] for raw in extra if raw not in want]
        twice = ["%d" % numbers[raw].number for raw in extra if raw in want]
        raise AssertionError("%d messages, %d letters; missing: %s; twice: %s; not the same: %r" % (
            len(messages), len(letters), names[:5], twice[:10], strange[:2]))


def killed_by(code):
    return signal.Signals(-code).name if code < 0 else "exit %d" % code
