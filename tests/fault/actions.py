"""What a hostile server can do at a step of the dialogue, instead of the honest answer.

A case is data: for each step a list of actions.

    "text"          one line, CRLF added; {tag}, {uid}, {seq} are filled in
    b"octets"       exactly these ({tag} too)
    HONEST          the honest answer
    Stall()         says nothing more, until the client leaves
    Pause(s)        waits
    Deaf()          reads nothing more
    Dribble(b, s)   b, n octets each s seconds, for ever if b is an iterator
    Bytewise(b)     b, each octet in a record of its own
    Flood(b, n)     b again and again, n octets in all
    Ask(b)          a challenge, and waits for the answer to it
    Echo(a, b)      a, all that it was told so far, b
    Hangup()        FIN;  Reset()  RST;  Close()  TLS's close_notify, and FIN
    Handshake(...)  TLS, with a certificate of the laboratory
    Openssl(...)    TLS by openssl s_server, which can do what Python cannot
"""
import base64
import itertools
import os
import re
import select
import socket
import struct
import subprocess
import threading
import time

HOST = "127.0.0.2"


class Ended(Exception):
    """The connection is over."""


class Action:
    pass


class Honest(Action):
    pass


HONEST = Honest()


class Stall(Action):
    def do(self, wire, fill):
        wire.drain()
        raise Ended


class Pause(Action):
    def __init__(self, seconds):
        self.seconds = seconds

    def do(self, wire, fill):
        time.sleep(self.seconds)


class Deaf(Action):
    """The client's window fills, if it has that much to say. Without reading, its end is seen by
    what the system tells of the socket."""

    def do(self, wire, fill):
        poll = select.poll()
        poll.register(wire.socket, select.POLLRDHUP)
        if not poll.poll(1000) and self._is_full(wire.socket.getpeername()):
            wire.server.commands.append("a window of zero")
        poll.poll(120_000)
        raise Ended

    @staticmethod
    def _is_full(peer):
        """The client has sent what our system does not take (proc(5): tx_queue)."""
        end = "%s:%04X" % (socket.inet_aton(peer[0])[::-1].hex().upper(), peer[1])
        with open("/proc/net/tcp") as file:
            rows = [line.split() for line in file]
        return any(row[1] == end and int(row[4].partition(":")[0], 16) for row in rows)


class Dribble(Action):
    def __init__(self, octets, seconds, count=1, limit=300):
        self.octets, self.seconds, self.count, self.limit = octets, seconds, count, limit

    def do(self, wire, fill):
        end = time.monotonic() + self.limit
        octets = filled(self.octets, fill) if isinstance(self.octets, bytes) else self.octets
        octets = iter(octets)
        while time.monotonic() < end:
            piece = bytes(itertools.islice(octets, self.count))
            if not piece:
                return
            wire.send(piece)
            time.sleep(self.seconds)


class Bytewise(Action):
    def __init__(self, octets):
        self.octets = octets

    def do(self, wire, fill):
        for octet in filled(self.octets, fill):
            wire.send(bytes([octet]))


def endless(octets):
    """For Dribble: again and again."""
    class Again:
        def __iter__(self):
            while True:
                yield from octets
    return Again()


class Flood(Action):
    def __init__(self, octets, total):
        self.octets, self.total = octets, total

    def do(self, wire, fill):
        piece = self.octets * (65536 // len(self.octets) + 1)
        sent = 0
        while sent < self.total:
            wire.send(piece)
            sent += len(piece)


class Echo(Action):
    """Repeats all that came encrypted so far, and what base64 hides in it, in one line."""

    def __init__(self, prefix, suffix=""):
        self.prefix, self.suffix = prefix, suffix

    def do(self, wire, fill):
        words = bytes(wire.server.secret).replace(b"\r\n", b" / ")
        for word in re.findall(rb"[A-Za-z0-9+/]{6,}=*", words):
            try:
                words += b" " + base64.b64decode(word, validate=True)
            except ValueError:
                pass
        words = re.sub(rb"[\0\r\n]", b"?", words)[-6000:]
        wire.send(filled(self.prefix.encode(), fill) + words + self.suffix.encode() + b"\r\n")


class Ask(Action):
    def __init__(self, octets=b"", encode=True):
        self.octets = base64.b64encode(octets) if encode else octets

    def do(self, wire, fill):
        wire.send(b"+ " + self.octets + b"\r\n")
        wire.line()


class Close(Action):
    def do(self, wire, fill):
        try:
            wire.socket = wire.socket.unwrap()
        except (OSError, ValueError, AttributeError):
            pass
        Hangup().do(wire, fill)


class Hangup(Action):
    def do(self, wire, fill):
        try:
            wire.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        wire.drain()
        raise Ended


class Reset(Action):
    def do(self, wire, fill):
        raw = wire.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        raise Ended


class Scram(Action):
    """The server's half of SCRAM, with a lie. The password plays no part: a server that does not
    know it cannot sign. digest: octets of the hash."""

    def __init__(self, lie, iterations=4096, digest=32):
        self.lie, self.iterations, self.digest = lie, iterations, digest

    @staticmethod
    def _say(wire, text):
        wire.send(b"+ " + base64.b64encode(text.encode()) + b"\r\n")

    def do(self, wire, fill):
        first = fill["initial"]
        if not first:
            wire.send(b"+ \r\n")
            first = wire.line().decode()
        nonce = base64.b64decode(first).decode().partition(",r=")[2]
        nonce = {"foreign nonce": "other", "same nonce": nonce}.get(self.lie, nonce + "server")
        self._say(wire, "r=%s,s=%s,i=%s" % (nonce, base64.b64encode(b"salt").decode(),
                                            self.iterations))
        if len(wire.line()) > 20:  # "*" would end it
            wire.server.commands.append("proof")
        last = {"wrong signature": "v=" + base64.b64encode(b"x" * self.digest).decode(),
                "empty signature": "v=", "error": "e=other-error"}.get(self.lie)
        if last:
            self._say(wire, last)
            wire.line()


class Handshake(Action):
    """certificate and dh: names of the laboratory's; version: the newest that is offered."""

    def __init__(self, certificate="good", version=None, ciphers=None, dh=None):
        self.certificate, self.version, self.ciphers = certificate, version, ciphers
        self.dh = dh

    def do(self, wire, fill):
        wire.encrypt(self.certificate, self.version, self.ciphers, self.dh)


class Openssl(Action):
    """argv: more of s_server's options, with {NAME.ocsp} for files of the laboratory; command: what
    is then typed at it, `times` times, once it hears the client's first words."""

    def __init__(self, certificate="good", *argv, command=None, times=1):
        self.certificate, self.argv, self.command = certificate, argv, command
        self.times = times

    def do(self, wire, fill):
        made = wire.server.certificates
        port = free_port()
        argv = ["openssl", "s_server", "-accept", "%s:%d" % (HOST, port), "-naccept", "1", "-cert",
                made.path(self.certificate), "-key", made.path(self.certificate, ".key"),
                *([] if self.command else ["-quiet"])]
        argv += [re.sub(r"\{(.*)\}", lambda found: made.path("", found.group(1)), word)
                 for word in self.argv]
        helper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, bufsize=0)
        inner = connect(port)
        threading.Thread(target=relay, args=(wire.socket, inner), daemon=True).start()
        threading.Thread(target=relay, args=(inner, wire.socket), daemon=True).start()
        wire.socket, wire.encrypted = Pipes(helper), True
        if self.command:
            self._command(wire.socket)
            raise Ended

    def _command(self, pipes):
        heard = b""
        while b"CAPA" not in heard:
            piece = pipes.recv(4096)
            if not piece:
                return
            heard += piece
        for _ in range(self.times):
            pipes.sendall(self.command)
            time.sleep(0.005)
        while pipes.recv(4096):
            pass


class Pipes:
    """A program's standard input and output as a socket."""

    def __init__(self, program):
        self.program = program

    def sendall(self, octets):
        try:
            self.program.stdin.write(octets)
        except (OSError, ValueError):
            raise Ended from None

    def recv(self, count):
        return os.read(self.program.stdout.fileno(), count)

    def shutdown(self, _how):
        self.program.stdin.close()

    def close(self):
        self.program.kill()
        self.program.wait()


def free_port():
    with socket.create_server((HOST, 0)) as one:
        return one.getsockname()[1]


def connect(port):
    for _ in range(500):
        try:
            return socket.create_connection((HOST, port))
        except OSError:
            time.sleep(0.01)
    raise Ended


def relay(source, target):
    try:
        while octets := source.recv(65536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
    except (OSError, ValueError):
        pass


def filled(octets, fill):
    """{tag} and its like, filled in."""
    for name, value in fill.items():
        octets = octets.replace(b"{%s}" % name.encode(), str(value).encode())
    return octets
