"""A small IMAP and POP3 server that is honest until a case tells it otherwise (see actions).

It notes what came in clear and what came encrypted, which messages were removed, and how many
commands were sent ahead of an answer.
"""
import re
import socket
import ssl
import threading

from actions import HONEST, HOST, Action, Ended, Handshake, Hangup, filled


class Wire:
    """One connection. Everything received is noted as clear or encrypted."""

    def __init__(self, connection, server):
        self.socket, self.server, self.buffer, self.encrypted = connection, server, b"", False
        self.socket.settimeout(120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except (OSError, ValueError):
            raise Ended from None

    def receive(self):
        try:
            octets = self.socket.recv(65536)
        except (OSError, ValueError):
            octets = b""
        if not octets:
            raise Ended
        (self.server.secret if self.encrypted else self.server.clear).extend(octets)
        return octets

    def drain(self):
        while True:
            self.receive()

    def line(self):
        while b"\n" not in self.buffer:
            self.buffer += self.receive()
        line, _, self.buffer = self.buffer.partition(b"\n")
        self.server.ahead = max(self.server.ahead, self.buffer.count(b"\n"))
        return line.rstrip(b"\r")

    def octets(self, count):
        while len(self.buffer) < count:
            self.buffer += self.receive()
        octets, self.buffer = self.buffer[:count], self.buffer[count:]
        return octets

    def encrypt(self, certificate, version, ciphers, dh):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        if version:
            context.maximum_version = version
        context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
        made = self.server.certificates
        if dh:
            context.load_dh_params(made.path(dh, ".dh"))
        context.load_cert_chain(made.path(certificate), made.path(certificate, ".key"))
        try:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        except (OSError, ValueError):
            raise Ended from None
        self.encrypted = True


class Server:
    """`with ImapServer(lab, messages, answers) as server:` listens on server.port."""

    protocol = ""

    def __init__(self, certificates, messages, answers=(), implicit=False, offers=None,
                 room=None):
        self.certificates, self.messages = certificates, dict(enumerate(messages, 1))
        self.answers, self.implicit, self.offers = dict(answers), implicit, offers
        self.clear, self.secret = bytearray(), bytearray()
        self.commands, self.removed, self.sessions, self.ahead = [], set(), 0, 0
        self.listener = socket.create_server((HOST, 0), backlog=16)
        if room:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        wire = Wire(connection, self)
        try:
            if self.implicit:
                self.play(wire, "handshake", {}, lambda: [Handshake()])
            self.talk(wire)
        except Ended:
            pass
        finally:
            wire.socket.close()

    def play(self, wire, step, fill, honest):
        """Does what the case says for this step, or the honest thing."""
        self.commands.append(step)
        for action in self.answers.get(step, [HONEST]):
            if action is HONEST:
                for part in honest():
                    self._act(wire, part, fill)
            else:
                self._act(wire, action, fill)

    def login_step(self, word, mechanism):
        """A case may tell mechanisms apart: "AUTH PLAIN"."""
        exact = " ".join([word, *mechanism[:1]]).upper()
        return exact if exact in self.answers else word

    @staticmethod
    def _act(wire, action, fill):
        if isinstance(action, Action):
            action.do(wire, fill)
            return
        if isinstance(action, str):
            action = action.encode() + b"\r\n"
        wire.send(filled(action, fill))


class ImapServer(Server):
    protocol = "imap"
    CLEAR = "IMAP4rev1 SASL-IR STARTTLS LOGINDISABLED"
    ENCRYPTED = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS ID"

    def talk(self, wire):
        self.play(wire, "greeting", {}, lambda: ["* OK hello"])
        while True:
            line = wire.line()
            while True:
                literal = re.search(rb"\{(\d+)(\+?)\}$", line)
                if not literal:
                    break
                if not literal.group(2):
                    wire.send(b"+ go on\r\n")
                line += wire.octets(int(literal.group(1))) + wire.line()
            tag, _, rest = line.partition(b" ")
            self.answer(wire, tag.decode(errors="replace"), rest.decode(errors="replace"))

    def answer(self, wire, tag, rest):
        word = rest.split(" ")[0].upper()
        if word == "UID":
            word = rest.split(" ")[1].upper()
        handler = getattr(self, "on_" + word.lower(), None)
        fill = {"tag": tag}
        if handler:
            handler(wire, fill, rest)
        else:
            self.play(wire, word, fill, lambda: ["{tag} BAD what?"])

    def on_capability(self, wire, fill, _rest):
        after = wire.encrypted
        words = self.offers or self.ENCRYPTED if after else self.CLEAR
        self.play(wire, "CAPABILITY after" if after else "CAPABILITY", fill,
                  lambda: ["* CAPABILITY " + words, "{tag} OK done"])

    def on_starttls(self, wire, fill, _rest):
        self.play(wire, "STARTTLS", fill, lambda: ["{tag} OK begin"])
        if not wire.encrypted:
            self.play(wire, "handshake", fill, lambda: [Handshake()])

    def on_authenticate(self, wire, fill, rest):
        words = rest.split(" ")
        step = self.login_step("AUTHENTICATE", words[1:2])
        if len(words) < 3 and step not in self.answers:
            wire.send(b"+ \r\n")
            wire.line()
        fill = {**fill, "initial": words[2] if len(words) > 2 else ""}
        self.commands.append(" ".join(words[:2]))
        self.play(wire, step, fill, lambda: ["{tag} OK logged in"])

    def on_login(self, wire, fill, _rest):
        self.play(wire, "LOGIN", fill, lambda: ["{tag} OK logged in"])

    def on_id(self, wire, fill, _rest):
        self.play(wire, "ID", fill, lambda: ["* ID NIL", "{tag} OK done"])

    def on_list(self, wire, fill, _rest):
        self.play(wire, "LIST", fill, lambda: ['* LIST () "/" INBOX', "{tag} OK done"])

    def on_status(self, wire, fill, rest):
        name = rest.partition(" ")[2].rpartition(" (")[0]
        self.play(wire, "STATUS", fill, lambda: [
            "* STATUS %s (MESSAGES %d UIDNEXT %d UIDVALIDITY 77)" % (
                name, len(self.messages), max(self.messages, default=0) + 1), "{tag} OK done"])

    def on_namespace(self, wire, fill, _rest):
        self.play(wire, "NAMESPACE", fill, lambda: ['* NAMESPACE (("" "/")) NIL NIL',
                                                    "{tag} OK done"])

    def on_noop(self, wire, fill, _rest):
        self.play(wire, "NOOP", fill, lambda: ["{tag} OK done"])

    def on_enable(self, wire, fill, _rest):
        self.play(wire, "ENABLE", fill, lambda: ["* ENABLED", "{tag} OK done"])

    def on_select(self, wire, fill, _rest):
        self.play(wire, "SELECT", fill, lambda: [
            "* FLAGS (\\Seen \\Deleted)", "* %d EXISTS" % len(self.messages), "* 0 RECENT",
            "* OK [UIDVALIDITY 77] ok",
            "* OK [UIDNEXT %d] ok" % (max(self.messages, default=0) + 1), "{tag} OK selected"])

    on_examine = on_select

    def uids(self, text):
        """Known uids of a set such as 1:3,7:*."""
        last, found = max(self.messages, default=0), set()
        for part in text.split(","):
            ends = [last if end == "*" else int(end) for end in part.split(":")]
            low, high = min(ends), max(ends)
            found |= {uid for uid in self.messages if low <= uid <= high}
        return sorted(found)

    def items(self, uid, wanted, body=True):
        """What an honest FETCH says of a message."""
        octets = self.messages[uid]
        parts = [b"UID %d" % uid]
        if "FLAGS" in wanted:
            parts.append(b"FLAGS ()")
        if "RFC822.SIZE" in wanted:
            parts.append(b"RFC822.SIZE %d" % len(octets))
        if "INTERNALDATE" in wanted:
            parts.append(b'INTERNALDATE "13-Sep-2020 12:26:40 +0000"')
        header = re.search(r"BODY(?:\.PEEK)?(\[HEADER[^\]]*\])", wanted)
        if header:
            head = octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            parts.append(b"BODY%s {%d}\r\n%s" % (header.group(1).encode(), len(head), head))
        if body and "[]" in wanted:
            parts.append(b"BODY[] {%d}\r\n%s" % (len(octets), octets))
        return b" ".join(parts)

    def on_fetch(self, wire, fill, rest):
        match = re.match(r"UID FETCH (\S+) (.*)", rest, re.I)
        if not match:
            wire.send(b"%s BAD no\r\n" % fill["tag"].encode())
            return
        wanted = match.group(2).upper()
        bodies = "[]" in wanted
        order = {uid: seq for seq, uid in enumerate(sorted(self.messages), 1)}

        def honest():
            for uid in self.uids(match.group(1)):
                yield b"* %d FETCH (%s)\r\n" % (order[uid], self.items(uid, wanted))

        def one_by_one():
            for uid in self.uids(match.group(1)):
                self.play(wire, "body %d" % uid, {**fill, "uid": uid, "seq": order[uid]},
                          lambda: [b"* %d FETCH (%s)\r\n" % (order[uid],
                                                             self.items(uid, wanted))])
            return ["{tag} OK done"]

        self.play(wire, "bodies" if bodies else "list", fill,
                  one_by_one if bodies else lambda: [*honest(), "{tag} OK done"])

    def on_search(self, wire, fill, rest):
        uids = sorted(self.messages)
        if "RETURN" in rest.upper():
            text = "* ESEARCH (TAG \"{tag}\") UID" + (
                " ALL " + ",".join(map(str, uids)) if uids else "")
        else:
            text = "* SEARCH " + " ".join(map(str, uids))
        self.play(wire, "list", fill, lambda: [text, "{tag} OK done"])

    def on_store(self, wire, fill, rest):
        deleted = self.uids(rest.split(" ")[2]) if "\\DELETED" in rest.upper() else []

        def honest():
            self.removed |= set(deleted)
            return ["{tag} OK done"]
        self.play(wire, "STORE", fill, honest)

    def on_expunge(self, wire, fill, _rest):
        def honest():
            gone = [number for number, uid in enumerate(sorted(self.messages), 1)
                    if uid in self.removed]
            for uid in self.removed:
                self.messages.pop(uid, None)
            return ["* %d EXPUNGE" % number for number in reversed(gone)] + ["{tag} OK done"]
        self.play(wire, "EXPUNGE", fill, honest)

    def on_logout(self, wire, fill, _rest):
        self.play(wire, "LOGOUT", fill, lambda: ["* BYE", "{tag} OK done", Hangup()])


class GmailServer(ImapServer):
    """Labels are mailboxes: names with uids and what stands under them, (X-GM-MSGID, octets). A
    message that leaves one stays in the others."""

    ENCRYPTED = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS ID X-GM-EXT-1"

    def __init__(self, certificates, labels):
        super().__init__(certificates, [])
        self.labels, self.label = labels, None
        self.fetched = []

    def turn_to(self, rest):
        self.label = self.labels[rest.split(" ")[1].strip('"')]
        self.messages = {uid: octets for uid, (_, octets) in self.label.items()}

    def on_list(self, wire, fill, _rest):
        self.play(wire, "LIST", fill, lambda: ['* LIST () "/" "%s"' % name for name in self.labels]
                  + ["{tag} OK done"])

    def on_status(self, wire, fill, rest):
        self.turn_to(rest)
        super().on_status(wire, fill, rest)

    def on_select(self, wire, fill, rest):
        self.turn_to(rest)
        self.removed = set()
        super().on_select(wire, fill, rest)

    on_examine = on_select

    def items(self, uid, wanted, body=True):
        said = super().items(uid, wanted, body)
        if body and "[]" in wanted:
            self.fetched.append(self.label[uid][0])
        if "X-GM-MSGID" in wanted:
            said = b"X-GM-MSGID %d " % self.label[uid][0] + said
        return said

    def on_expunge(self, wire, fill, rest):
        for uid in self.removed:
            self.label.pop(uid, None)
        super().on_expunge(wire, fill, rest)


class Pop3Server(Server):
    protocol = "pop3"
    CLEAR = "USER|UIDL|PIPELINING|STLS"
    ENCRYPTED = "USER|UIDL|SASL PLAIN|PIPELINING|RESP-CODES"

    def talk(self, wire):
        self.box = sorted(self.messages)  # a message's number holds for one session
        self.marked = set()
        self.play(wire, "greeting", {}, lambda: ["+OK hello"])
        while True:
            words = wire.line().decode(errors="replace").split(" ")
            handler = getattr(self, "on_" + words[0].lower(), None)
            if handler:
                handler(wire, words[1:])
            else:
                self.play(wire, words[0].upper(), {}, lambda: ["-ERR what?"])

    def on_capa(self, wire, _args):
        after = wire.encrypted
        words = (self.offers or self.ENCRYPTED if after else self.CLEAR).split("|")
        self.play(wire, "CAPA after" if after else "CAPA", {}, lambda: ["+OK"] + words + ["."])

    def on_stls(self, wire, _args):
        self.play(wire, "STLS", {}, lambda: ["+OK begin"])
        if not wire.encrypted:
            self.play(wire, "handshake", {}, lambda: [Handshake()])

    def on_auth(self, wire, args):
        step = self.login_step("AUTH", args)
        if len(args) < 2 and step not in self.answers:
            wire.send(b"+ \r\n")
            wire.line()
        self.play(wire, step, {"initial": args[1] if len(args) > 1 else ""},
                  lambda: ["+OK logged in"])

    def on_user(self, wire, _args):
        self.play(wire, "USER", {}, lambda: ["+OK"])

    def on_pass(self, wire, _args):
        self.play(wire, "PASS", {}, lambda: ["+OK logged in"])

    def on_stat(self, wire, _args):
        self.play(wire, "STAT", {}, lambda: ["+OK %d %d" % (
            len(self.messages), sum(map(len, self.messages.values())))])

    def on_list(self, wire, _args):
        self.play(wire, "LIST", {}, lambda: ["+OK"] + [
            "%d %d" % (number, len(self.messages[uid]))
            for number, uid in enumerate(self.box, 1)] + ["."])

    def on_uidl(self, wire, _args):
        self.play(wire, "UIDL", {}, lambda: ["+OK"] + [
            "%d uid-%d" % numbers for numbers in enumerate(self.box, 1)] + ["."])

    def on_retr(self, wire, args):
        uid = self.uid(args[0])

        def honest():
            if uid is None:
                return ["-ERR none"]
            stuffed = re.sub(rb"(\A|\r\n)\.", rb"\1..", self.messages[uid])
            return ["+OK", stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n"), "."]
        self.play(wire, "body %s" % uid, {}, honest)

    def uid(self, number):
        """What a number of this session stands for; None if for nothing."""
        number = int(number) if number.isdigit() else 0
        return self.box[number - 1] if 0 < number <= len(self.box) else None

    def on_top(self, wire, args):
        uid = self.uid(args[0])
        head = self.messages[uid].partition(b"\r\n\r\n")[0] if uid else b""
        self.play(wire, "TOP", {}, lambda: ["+OK", head + b"\r\n\r\n", "."])

    def on_dele(self, wire, args):
        def honest():
            self.marked.add(self.uid(args[0]))
            return ["+OK"]
        self.play(wire, "DELE", {}, honest)

    def on_noop(self, wire, _args):
        self.play(wire, "NOOP", {}, lambda: ["+OK"])

    def on_rset(self, wire, _args):
        self.marked.clear()
        self.play(wire, "RSET", {}, lambda: ["+OK"])

    def on_quit(self, wire, _args):
        def honest():
            self.removed |= self.marked
            for number in self.marked:
                self.messages.pop(number, None)
            return ["+OK bye", Hangup()]
        self.play(wire, "QUIT", {}, honest)
