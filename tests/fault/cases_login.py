"""Logging in: nobody gets the password, or is believed to know it, who does not."""
from actions import HONEST, Ask, Dribble, Flood, Hangup, Scram, Stall, endless
from bad import ALL, CLOSED, TAGGED_OK, Bad

REFUSED = (76, 77)


TOKEN = {"password": None, "token_command": ["/bin/echo", "t0ken"]}
ERROR = Ask(b'{"status":"401","schemes":"bearer","scope":"mail"}')


def tokens(mechanism, asked, step, ok, no, offer, opened):
    """asked: what comes before the token is sent."""
    def refused(name, actions, code=REFUSED, words=()):
        return Bad("%s: %s" % (mechanism, name), {step: asked + actions}, code, words, keys=TOKEN,
                   offers=offer(mechanism), never=opened, again=False)

    return [refused("an error, and NO", [ERROR, no], 77, "401"),
            refused("an error, and OK", [ERROR, ok]),
            refused("an error, and FIN", [ERROR, Hangup()], (75, 76, 77)),
            refused("an error, and silence", [ERROR, Stall()], (75, 76, 77)),
            refused("errors without end", [ERROR] * 50 + [ok]),
            refused("an error that is no base64", [Ask(b"{!}", encode=False), ok]),
            refused("an error of 60 kB", [Ask(b"{" + b"x" * 45_000), no])]


def logins(step, ok, no, offer, opened, asked):
    """What holds in both protocols. step: of the login; offer: makes the capabilities; opened: the
    steps that only one who is logged in reaches; asked: what asks for the token of XOAUTH2."""
    scram, both = offer("SCRAM-SHA-256"), offer("SCRAM-SHA-256", "PLAIN", "LOGIN")

    def lie(name, actions, words=(), offers=both, code=77, **more):
        """Somebody who does not know the password, and may not learn it."""
        return Bad(name, {step: actions}, code, words, offers=offers, again=False, unsent=True,
                   **{"never": opened, **more})

    def count(iterations):
        return lie("SCRAM: iteration count %s" % str(iterations)[:12],
                   [Scram("", iterations), Stall()], "iteration count",
                   never=("proof", *opened))

    return [
        count(1), count(0), count(-1), count(4095), count(1_000_001), count(1_000_000_000),
        count(10 ** 30), count("4096x"), count(2 ** 64 + 4096),
        lie("SCRAM: no iteration count", [Scram("", ""), ok], "malformed", code=76,
            never=("proof", *opened)),
        lie("SCRAM: wrong signature, PLAIN on offer", [Scram("wrong signature"), ok],
            "could not prove that it knows the password"),
        lie("SCRAM: empty signature", [Scram("empty signature"), ok], "could not prove"),
        lie("SCRAM: wrong signature of SCRAM-SHA-1", [Scram("wrong signature", digest=20), ok],
            "could not prove", offers=offer("SCRAM-SHA-1", "PLAIN")),
        lie("SCRAM: OK instead of a signature", [Scram(""), ok], "before the SCRAM-SHA-256"),
        lie("SCRAM: OK at once, PLAIN on offer", [ok], "before the SCRAM-SHA-256"),
        lie("SCRAM: an error, then OK", [Scram("error"), ok], code=REFUSED),
        lie("SCRAM: nonce of another exchange", [Scram("foreign nonce"), ok], "does not belong",
            never=("proof", *opened)),
        lie("SCRAM: our nonce and nothing of its own", [Scram("same nonce"), ok]),
        lie("SCRAM: no first message", [Ask(), Ask(), ok], code=REFUSED),
        lie("SCRAM: nonsense for a first message", [Ask(b"nonsense"), ok], "malformed",
            code=REFUSED),
        lie("SCRAM: empty fields", [Ask(b"r=,s=,i="), ok], code=REFUSED),
        lie("SCRAM: a first message of NULs", [Ask(b"\0" * 1000), ok], code=REFUSED),
        lie("SCRAM: no base64", [Ask(b"r=!!", encode=False), ok], "base64", code=REFUSED),
        lie("SCRAM: a challenge of 60 kB", [Ask(b"r=" + b"x" * 45_000), ok], code=REFUSED),
        lie("SCRAM: challenges without end", [Scram("")] + [Ask(b"v=x")] * 50 + [ok],
            code=REFUSED),
        lie("LOGIN: OK before the password", [Ask(b"Username:"), ok], "before the LOGIN",
            offers=offer("LOGIN")),
        lie("LOGIN: OK at once", [ok], "before the LOGIN", offers=offer("LOGIN")),
        lie("CRAM-MD5: OK at once", [ok], "before the CRAM-MD5", offers=offer("CRAM-MD5"),
            keys={"auth": "cram-md5"}),
        lie("CRAM-MD5: an empty challenge, then OK", [Ask(), ok], offers=offer("CRAM-MD5"),
            keys={"auth": "cram-md5"}, code=(0, 75, 76, 77), never=(), arrives=None),
        Bad("LOGIN: challenges without end", {step: [Ask(b"Password:")] * 50 + [ok]}, REFUSED,
            "challenges", offers=offer("LOGIN"), never=opened, again=False),
        Bad("PLAIN: challenges without end", {step: [Ask()] * 50 + [ok]}, REFUSED, offers=offer(
            "PLAIN"), never=opened, again=False),
        Bad("PLAIN: a challenge for the password", {step: [Ask(b"Password again:"), ok]}, REFUSED,
            offers=offer("PLAIN"), never=opened, again=False),
        Bad("named mechanism is not offered", {}, 77, ("does not offer SCRAM-SHA-256",
                                                       "no password was sent"), again=False,
            offers=offer("PLAIN", "LOGIN"), keys={"auth": "scram-sha-256"}, unsent=True,
            never=opened),
        Bad("named mechanism stands in another word only", {}, 77, "does not offer", again=False,
            offers=offer("SCRAM-SHA-256X", "XPLAIN"), keys={"auth": "scram-sha-256"}, unsent=True,
            never=opened),
        Bad("named mechanism is refused: no other is tried", {step + " SCRAM-SHA-256": [no]}, 77,
            "refused the login", offers=both, keys={"auth": "scram-sha-256"}, unsent=True,
            never=opened, again=False),
        Bad("SCRAM is refused before it began: PLAIN once, and said so", {
            step + " SCRAM-SHA-256": [no]}, 0, "PLAIN", arrives=ALL, offers=both, again=False),
        Bad("SCRAM and PLAIN are refused", {step: [no]}, 77, "refused the login", offers=both,
            never=opened),
        Bad("nothing that is known", {}, 77, "nothing secret was sent", again=False, unsent=True,
            offers=offer("GSSAPI", "X-PASSWORD-PLEASE"), keys={"auth": "auto"}, never=opened),
        *tokens("OAUTHBEARER", [], step, ok, no, offer, opened),
        *tokens("XOAUTH2", asked, step, ok, no, offer, opened),
        Bad("login: neither yes nor no", {step: [b"perhaps\r\n", Stall()]}, 76, never=opened,
            offers=scram),
        Bad("login: FIN", {step: [Hangup()]}, CLOSED, "closed", never=opened),
        Bad("login: a line without end", {step: [Flood(b"x", 20_000_000)]}, 76, never=opened),
        Bad("login: dribble", {step: [Dribble(endless(b"+ QUJD"), 0.3)]}, CLOSED, never=opened),
    ]


def imap(*mechanisms):
    return " ".join(["IMAP4rev1 SASL-IR UIDPLUS LOGINDISABLED"] +
                    ["AUTH=" + one for one in mechanisms])


def pop3(*mechanisms):
    return "UIDL|PIPELINING|SASL " + " ".join(mechanisms)


NO = "{tag} NO [AUTHENTICATIONFAILED] no"

IMAP = logins("AUTHENTICATE", TAGGED_OK, NO, imap, ("SELECT", "LIST"), []) + [
    Bad("LOGINDISABLED inside, and a mechanism", {}, 0, arrives=ALL, offers=imap("PLAIN"),
        never=("LOGIN",)),
    Bad("LOGINDISABLED inside, and the LOGIN command is named", {}, 77, "no password was sent",
        offers=imap("PLAIN"), keys={"auth": "login-command"}, unsent=True, again=False,
        never=("LOGIN", "AUTHENTICATE")),
    Bad("LOGIN command is refused", {"LOGIN": [NO]}, 77, "refused the login",
        offers="IMAP4rev1 UIDPLUS", never=("SELECT",)),
    Bad("LOGIN command: BAD", {"LOGIN": ["{tag} BAD what"]}, 77, "refused the login",
        offers="IMAP4rev1 UIDPLUS", never=("SELECT",)),
    Bad("LOGIN command: a challenge", {"LOGIN": ["+ go on", Stall()]}, 76,
        offers="IMAP4rev1 UIDPLUS", never=("SELECT",)),
    Bad("login: answered before it was asked", {"CAPABILITY after": [
        HONEST, "a3 OK logged in", Stall()]}, 76, never=("SELECT",)),
    Bad("login: a tag that was not sent", {"AUTHENTICATE": ["a999 OK logged in", Stall()]}, 76,
        never=("SELECT",)),
    Bad("login: an untagged OK is none", {"AUTHENTICATE": ["* OK logged in", Stall()]}, 75,
        never=("SELECT",)),
    Bad("login: an untagged PREAUTH is none", {"AUTHENTICATE": ["* PREAUTH logged in", Stall()]},
        (75, 76), never=("SELECT",)),
    Bad("login: OK with other capabilities", {"AUTHENTICATE": [
        "{tag} OK [CAPABILITY IMAP4rev1 UIDPLUS] logged in"]}, 0, arrives=ALL),
    Bad("CAPABILITY after TLS: NO", {"CAPABILITY after": ["{tag} NO", Stall()]}, 76, unsent=True,
        never=("AUTHENTICATE", "LOGIN")),
    Bad("CAPABILITY after TLS: nothing in it", {"CAPABILITY after": ["* CAPABILITY", TAGGED_OK]},
        (0, 76, 77), arrives=None, again=False),
    Bad("CAPABILITY after TLS: STARTTLS again", {}, 0, arrives=ALL,
        offers="IMAP4rev1 STARTTLS AUTH=PLAIN UIDPLUS"),
]

POP3 = logins("AUTH", "+OK", "-ERR [AUTH] no", pop3, ("STAT", "UIDL"), [Ask()]) + [
    Bad("USER is refused", {"USER": ["-ERR who"]}, 77, "who", offers="USER|UIDL", unsent=True,
        never=("STAT",)),
    Bad("USER: nonsense", {"USER": [b"what?\r\n", Stall()]}, 76, offers="USER|UIDL", unsent=True,
        never=("STAT",)),
    Bad("USER is answered twice", {"USER": ["+OK", "+OK"]}, (0, 76), offers="USER|UIDL",
        arrives=None),
    Bad("PASS is named, and USER is not offered", {}, 77, "no password was sent", again=False,
        offers=pop3("PLAIN"), keys={"auth": "login-command"}, unsent=True, never=("USER", "AUTH")),
    Bad("CAPA after TLS: -ERR, and it is refused", {"CAPA after": ["-ERR"], "PASS": ["-ERR no"]},
        77, "no"),
]
