"""A server that once saw a login by SCRAM plays it again: what is said there is good once."""
import base64
import hashlib
import hmac
import os

from actions import Action
from bad import TAGGED_OK
from lab import SECRET
from runner import case
from server import ImapServer, Pop3Server

SALT = base64.b64encode(b"pepper").decode()
SERVERS = {"imap": (ImapServer, "AUTHENTICATE", TAGGED_OK, "SELECT",
                    "IMAP4rev1 SASL-IR LOGINDISABLED UIDPLUS AUTH=SCRAM-SHA-256"),
           "pop3": (Pop3Server, "AUTH", "+OK", "STAT", "UIDL|SASL SCRAM-SHA-256")}
MAIL = [b"Subject: a\r\n\r\na\r\n"]


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
    kind, step, ok, opened, offers = SERVERS[protocol]
    name, notes = os.path.basename(home.path), []
    with kind(lab.certificates, MAIL, {step: [Scram(notes), ok]}, offers=offers) as server:
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
