"""Logins by SCRAM at a server that knows the password: what one may do who listened, and what one
who stands between."""
import base64
import hashlib
import hmac
import os

from actions import HONEST, Action, Echo
from bad import TAGGED_OK
from lab import SECRET
from runner import case
from server import ImapServer, Pop3Server
from shown import base64_of, check_unseen

SALT = base64.b64encode(b"pepper").decode()
WEAK, STRONG = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
SERVERS = {"imap": (ImapServer, "AUTHENTICATE", TAGGED_OK, "SELECT"),
           "pop3": (Pop3Server, "AUTH", "+OK", "STAT")}
MAIL = [b"Subject: a\r\n\r\na\r\n"]


def offer(protocol, *mechanisms):
    if protocol == "pop3":
        return "UIDL|SASL " + " ".join(mechanisms)
    return "IMAP4rev1 SASL-IR LOGINDISABLED UIDPLUS " + " ".join(
        "AUTH=" + one for one in mechanisms)


def by_key(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Scram(Action):
    """RFC 5802, by one who knows the password and notes what was said; or who has such notes, and
    says again of them what stands in `again`."""

    def __init__(self, notes, again=()):
        self.notes, self.again = notes, again

    @staticmethod
    def _say(wire, text):
        wire.send(b"+ " + base64.b64encode(text.encode()) + b"\r\n")
        return base64.b64decode(wire.line() or b"").decode(errors="replace")

    def do(self, wire, fill):
        opening = base64.b64decode(fill["initial"]).decode().partition(",,")[2]
        nonce = opening.partition(",r=")[2]
        said = dict(self.notes[0] if self.notes else {}, nonce=nonce, proof="")
        if "first" not in self.again:
            said["first"] = "r=%sserver,s=%s,i=4096" % (nonce, SALT)
        self.notes.append(said)
        said["proof"] = self._say(wire, said["first"])
        if "last" not in self.again:
            said["last"] = self._sign(opening, said["first"], *said["proof"].split(",p="))
        self._say(wire, said["last"])

    @staticmethod
    def _sign(opening, first, final, proof):
        salted = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), base64.b64decode(SALT), 4096)
        said = ",".join([opening, first, final])
        key = by_key(salted, "Client Key")
        shown = by_key(hashlib.sha256(key).digest(), said)
        assert base64.b64decode(proof) == bytes(a ^ b for a, b in zip(key, shown)), "no proof"
        return "v=" + base64.b64encode(by_key(by_key(salted, "Server Key"), said)).decode()


@case(each=["imap", "pop3"])
def hostile_replay_of_a_login_by_scram(lab, home, protocol):
    kind, step, ok, opened = SERVERS[protocol]
    name, notes = os.path.basename(home.path), []
    with kind(lab.certificates, MAIL, {step: [Scram(notes), ok]},
              offers=offer(protocol, WEAK)) as server:
        home.configure({"box": home.account(name, protocol, port=server.port, timeout="3s")})
        home.poll("-v")
        assert opened in server.commands
        for again, words in ((("first", "last"), "does not belong"),
                             (("last",), "could not prove that it knows the password")):
            server.answers = {step: [Scram(notes, again), ok]}
            server.commands.clear()
            result = home.run("-v", "poll", "box", timeout=20)
            assert result.code == 77 and words in result.err, result
            assert opened not in server.commands, server.commands
    nonces = [said["nonce"] for said in notes]
    assert len(notes) == 3 and len(set(nonces)) == 3, nonces
    assert all(len(nonce) >= 18 for nonce in nonces), nonces
    assert ",p=" not in notes[1]["proof"], "the password was used on a nonce of old"


@case(each=["imap", "pop3"])
def hostile_offer_without_channel_binding(lab, home, protocol):
    """What gives away who stands between is taken out of the offer."""
    kind, step, ok, opened = SERVERS[protocol]
    name = os.path.basename(home.path)
    with kind(lab.certificates, MAIL, {step: [Scram([]), ok]},
              offers=offer(protocol, STRONG, WEAK)) as server:
        account = home.account(name, protocol, port=server.port, timeout="3s")
        home.configure({"box": account})
        assert "by %s\n" % STRONG in home.poll("-v").err
        server.offers = offer(protocol, WEAK)
        result = home.poll()
        assert "logged in by %s, and last time by %s" % (WEAK, STRONG) in result.err, result
        assert "last time" not in home.poll().err, "it is said once"
        server.commands.clear()
        home.configure({"box": {**account, "auth": STRONG.lower()}})
        result = home.run("-v", "poll", "box", timeout=20)
        assert result.code == 77 and "does not offer %s" % STRONG in result.err, result
        assert not {step, opened} & set(server.commands), server.commands


@case(each=["imap", "pop3"])
def hostile_echo_of_a_proof_is_cut(lab, home, protocol):
    """With the proof, and what stands beside it, the password can be guessed."""
    kind, step, ok, opened = SERVERS[protocol]
    name, notes = os.path.basename(home.path), []
    later = [Echo("* OK [ALERT] "), HONEST] if protocol == "imap" else [Echo("+OK 1 30 ")]
    with kind(lab.certificates, MAIL, {step: [Scram(notes), ok], opened: later},
              offers=offer(protocol, WEAK)) as server:
        home.configure({"box": home.account(name, protocol, port=server.port, timeout="3s")})
        results = []
        for command in (("-vv", "--trace", "poll"), ("-v", "--json", "poll"), ("-vv", "test"),
                        ("status",)):
            server.secret.clear()  # each time its own proof is repeated
            results.append((command, home.run(*command, timeout=20)))
        assert opened in server.commands
    assert "<cut>" in results[0][1].err, results[0]
    for proof in (said["proof"].partition(",p=")[2].encode() for said in notes):
        check_unseen(home, [proof, *base64_of(proof)], results)
