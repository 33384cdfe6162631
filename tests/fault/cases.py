"""The hostile servers, as data. `Bad` says what the server does and what mailhaul must do.

Whatever the case, hostile.py checks besides: no credential in clear or to an unverified peer,
nothing removed that was not delivered, nothing delivered that is not whole, another account goes
on, messages made visible, and an honest server afterwards brings the rest, each once.
"""
import ssl

from server import (HONEST, Dribble, Flood, Handshake, Hangup, Pause, Reset, Scram, Stall, endless)

CLOSED = (75, 76)
ALL = frozenset(range(1, 6))
NONE = frozenset()


class Bad:
    """answers: by step; code: the exit code, or several; words: what stderr must hold; arrives:
    numbers of the messages that must have arrived; keys: of the account; again: whether an honest
    server brings the rest afterwards; within: seconds."""

    def __init__(self, name, answers, code, words=(), arrives=NONE, keys=None, implicit=False,
                 again=True, within=20, offers=None, mail=None, never=()):
        self.name, self.answers = name, answers
        self.arrives = None if arrives is None else frozenset(arrives)
        self.code = code if isinstance(code, tuple) else (code,)
        self.words = (words,) if isinstance(words, str) else words
        self.keys, self.implicit, self.again = keys or {}, implicit, again
        self.within, self.offers, self.mail, self.never = within, offers, mail, never


def handshakes(verb, ok):
    """What both protocols must refuse of the TLS that follows STARTTLS."""
    return [
        Bad("handshake: expired", {"handshake": [Handshake("expired")]}, 76, "expired"),
        Bad("handshake: other name", {"handshake": [Handshake("other")]}, 76, "name"),
        Bad("handshake: self-signed", {"handshake": [Handshake("foreign")]}, 76,
            "nothing was sent"),
        Bad("handshake: TLS 1.1", {"handshake": [Handshake(version=ssl.TLSVersion.TLSv1_1)]}, 76,
            "TLS"),
        Bad("handshake: TLS 1.0", {"handshake": [Handshake(version=ssl.TLSVersion.TLSv1)]}, 76,
            "TLS"),
        Bad("handshake: CBC cipher", {"handshake": [Handshake(
            version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")]}, 76,
            "TLS"),
        Bad("handshake: TLS 1.2 is good enough", {"handshake": [Handshake(
            version=ssl.TLSVersion.TLSv1_2)]}, 0, arrives=ALL),
        Bad("handshake: TLS 1.2 where 1.3 is asked for", {"handshake": [Handshake(
            version=ssl.TLSVersion.TLSv1_2)]}, 76, "TLS", keys={"min_version": "1.3"},
            again=False),
        Bad("handshake: garbage", {"handshake": [b"this is no TLS\r\n" * 20, Hangup()]}, 76,
            "TLS"),
        Bad("handshake: silence", {"handshake": [Stall()]}, CLOSED, "TLS"),
        Bad("handshake: FIN", {"handshake": [Hangup()]}, CLOSED, "TLS"),
        Bad("handshake: RST", {"handshake": [Reset()]}, CLOSED, "TLS"),
        Bad("handshake: dribble", {"handshake": [Dribble(
            b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + b"\x03" * 16000, 0.5)]}, CLOSED),
        Bad("handshake: flood", {"handshake": [Flood(b"\x16\x03\x03\x40\x00" + b"\x00" * 16384,
                                                     20_000_000)]}, CLOSED),
        Bad("injection behind the answer", {verb: [ok + b"INJECTED\r\n", Stall()]}, 76, verb),
        Bad("injection in a segment of its own", {verb: [ok, Pause(0.1), b"* OK INJECTED\r\n",
                                                         Stall()]}, CLOSED),
        Bad("%s: silence" % verb, {verb: [Stall()]}, 75, verb),
        Bad("%s: FIN" % verb, {verb: [Hangup()]}, CLOSED),
    ]


GREETINGS = [
    Bad("greeting: silence", {"greeting": [Stall()]}, 75, "greet"),
    Bad("greeting: FIN", {"greeting": [Hangup()]}, CLOSED),
    Bad("greeting: RST", {"greeting": [Reset()]}, (69, 75, 76)),
    Bad("greeting: of a web server", {"greeting": ["HTTP/1.1 400 Bad Request", Hangup()]}, 76),
    Bad("greeting: of a submission server", {"greeting": ["220 mail ESMTP", Stall()]}, 76),
    Bad("greeting: a line without end", {"greeting": [Flood(b"x", 50_000_000), Stall()]}, 76),
    Bad("greeting: dribble without end", {"greeting": [Dribble(endless(b"x"), 0.3)]}, CLOSED,
        within=60),
    Bad("greeting: empty lines for ever", {"greeting": [Flood(b"\r\n", 100_000_000)]}, CLOSED),
    Bad("greeting: NULs", {"greeting": [b"\0" * 100 + b"\r\n", Stall()]}, 76),
]


def body(octets, announced=None, before=b"", after=b")\r\n"):
    """A FETCH answer with these octets as its body."""
    count = b"%d" % len(octets) if announced is None else announced
    return b"* {seq} FETCH (" + before + b"UID {uid} BODY[] {" + count + b"}\r\n" + octets + after


WHOLE = b"Subject: lie\r\n\r\nlie\r\n"
TAGGED_OK = "{tag} OK done"

EVERYTHING = {"mailboxes": ["*"]}
GMAIL = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS ID NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE " \
    "X-GM-EXT-1"
# Every mailbox of the server holds the same mail: what is opened besides INBOX comes twice.
MAILBOXES = [
    Bad("Gmail: a pattern leaves out what shows everything again", {"LIST": [
        '* LIST (\\HasNoChildren) "/" "INBOX"', '* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"',
        '* LIST (\\All \\HasNoChildren) "/" "[Gmail]/Alle Nachrichten"',
        '* LIST (\\HasNoChildren \\Important) "/" "[Gmail]/Wichtig"',
        '* LIST (\\Flagged \\HasNoChildren) "/" "[Gmail]/Markiert"', TAGGED_OK]}, 0, arrives=ALL,
        offers=GMAIL, keys=EVERYTHING),
    Bad("LIST: names that are none", {"LIST": [
        '* LIST () "/" "\x1b[31m"', "* LIST () NIL {4}", "a\r\nb", '* LIST () "/" "&AOQ"',
        '* LIST () "/" "&ABs-"', "* LIST () NIL NIL", "* LIST", HONEST]}, 0, "is left alone because",
        arrives=ALL, keys={"mailboxes": ["*", "!NIL"]}),
    Bad("LIST: NO", {"LIST": ["{tag} NO not now"]}, 75, "not now", keys=EVERYTHING),
    Bad("LIST: BAD", {"LIST": ["{tag} BAD what"]}, 75, "what", keys=EVERYTHING),
    Bad("LIST: silence", {"LIST": [Stall()]}, 75, "list of mailboxes", keys=EVERYTHING),
    Bad("LIST: FIN", {"LIST": ['* LIST () "/" INBOX', Hangup()]}, CLOSED, keys=EVERYTHING),
    Bad("LIST: nothing", {"LIST": [TAGGED_OK]}, 0, "matches no mailbox", keys=EVERYTHING),
    Bad("LIST: a million lines", {"LIST": [b"".join(
        b'* LIST () "/" "box%d"\r\n' % number for number in range(1_000_000)), Stall()]}, 76,
        "more mailboxes", keys=EVERYTHING, within=40),
    Bad("LIST: one line for ever", {"LIST": [Flood(b'* LIST () "/" INBOX\r\n', 100_000_000),
                                            TAGGED_OK]}, 0, arrives=ALL, keys=EVERYTHING,
        within=60),
    Bad("LIST: dribble without end", {"LIST": [Dribble(endless(b'* LIST () "/" INBOX\r\n'), 0.05)]},
        CLOSED, keys=EVERYTHING, within=60),
    Bad("NAMESPACE: nonsense", {"NAMESPACE": [
        '* NAMESPACE ((("x" "y")) ("a") "b" (NIL NIL)) (', "{tag} NO"]}, (0, 76), arrives=None,
        offers="IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS NAMESPACE", keys=EVERYTHING),
    Bad("NAMESPACE: a prefix that does not end", {"NAMESPACE": [
        b'* NAMESPACE (("' + b"x" * 50_000 + b'" "/")) NIL NIL\r\n', "{tag} OK"]}, 0, arrives=ALL,
        offers="IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS NAMESPACE", keys=EVERYTHING),
    Bad("STATUS: NO is no failure beside LIST", {"STATUS": ["{tag} NO no"]}, 0, arrives=ALL,
        keys={"mailboxes": ["INBOX", "*"]}),
    Bad("STATUS: UIDVALIDITY 0", {"STATUS": [
        "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 0)", TAGGED_OK]}, 0, arrives=ALL,
        keys={"mailboxes": ["INBOX", "*"]}),
    Bad("STATUS: numbers that cannot be", {"STATUS": [
        "* STATUS INBOX (MESSAGES -1 UIDNEXT 99999999999 UIDVALIDITY x)", "* STATUS INBOX (",
        TAGGED_OK]}, (0, 76), arrives=None, keys={"mailboxes": ["INBOX", "*"]}),
    Bad("ENABLE: BAD", {"ENABLE": ["{tag} BAD no"]}, 0, arrives=ALL, keys=EVERYTHING,
        offers="IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS ENABLE UTF8=ACCEPT"),
]

IMAP = GREETINGS + MAILBOXES + handshakes("STARTTLS", b"{tag} OK begin\r\n") + [
    Bad("greeting: PREAUTH", {"greeting": ["* PREAUTH welcome"]}, 76, "PREAUTH"),
    Bad("greeting: BYE", {"greeting": ["* BYE overloaded", Hangup()]}, 75, "overloaded"),
    Bad("greeting: of a POP3 server", {"greeting": ["+OK hello"]}, 76),
    Bad("greeting: offers AUTH and no STARTTLS", {
        "greeting": ["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello"],
        "CAPABILITY": ["* CAPABILITY IMAP4rev1 AUTH=PLAIN", TAGGED_OK]}, 76,
        ("STARTTLS", "nothing was sent")),
    Bad("STARTTLS is not offered", {"CAPABILITY": ["* CAPABILITY IMAP4rev1 LOGINDISABLED",
                                                   TAGGED_OK]}, 76,
        ("does not offer STARTTLS; nothing was sent", "implicit")),
    Bad("STARTTLS: NO", {"STARTTLS": ["{tag} NO not now", Stall()]}, 76, "not now"),
    Bad("STARTTLS: BAD", {"STARTTLS": ["{tag} BAD what", Stall()]}, 76, "what"),
    Bad("STARTTLS: another tag", {"STARTTLS": ["zzz9 OK begin", Stall()]}, CLOSED),
    Bad("CAPABILITY: silence", {"CAPABILITY": [Stall()]}, 75, "CAPABILITY"),
    Bad("CAPABILITY: NO", {"CAPABILITY": ["{tag} NO", Stall()]}, 76),
    Bad("CAPABILITY: without end", {"CAPABILITY": [b"* CAPABILITY ", Flood(b"STARTTLS ", 30_000_000)]},
        76),
    Bad("clear LIST, FETCH and EXISTS before STARTTLS", {"CAPABILITY": [
        '* LIST () "/" INBOX', "* 1 FETCH (UID 1 BODY[] NIL)", "* 3 EXISTS", HONEST]},
        (0, 76), arrives=None),
    Bad("what was offered before TLS is forgotten", {
        "CAPABILITY": ["* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR", TAGGED_OK],
        "CAPABILITY after": ["* CAPABILITY IMAP4rev1 LOGINDISABLED", TAGGED_OK]}, (76, 77)),
    Bad("LOGINDISABLED and no mechanism", {"CAPABILITY after": [
        "* CAPABILITY IMAP4rev1 LOGINDISABLED", TAGGED_OK]}, (76, 77)),
    Bad("login refused", {"AUTHENTICATE": ["{tag} NO [AUTHENTICATIONFAILED] no", Stall()],
                          "LOGIN": ["{tag} NO [AUTHENTICATIONFAILED] no", Stall()]}, 77, "no"),
    Bad("login: not available now", {"AUTHENTICATE": ["{tag} NO [UNAVAILABLE] later"],
                                     "LOGIN": ["{tag} NO [UNAVAILABLE] later"]}, 75, "later"),
    Bad("login: control characters", {
        "AUTHENTICATE": ["{tag} NO \x1b[31mred\x07\u202e\u009b"],
        "LOGIN": ["{tag} NO \x1b[31mred\x07"]}, 77, "red"),
    Bad("login: BYE", {"AUTHENTICATE": ["* BYE too many", Hangup()]}, 75, "too many"),
    Bad("login: silence", {"AUTHENTICATE": [Stall()]}, 75),
    Bad("login: challenges without end", {"AUTHENTICATE": [Flood(b"+ \r\n", 20_000_000), Stall()]},
        (75, 76, 77)),
    Bad("login: a huge challenge", {"AUTHENTICATE": [b"+ ", Flood(b"QUJD", 20_000_000), Stall()]},
        (76, 77)),
    Bad("login: not base64", {"AUTHENTICATE": ["+ !!!!", Stall()]}, (75, 76, 77),
        offers="IMAP4rev1 AUTH=SCRAM-SHA-256 LOGINDISABLED"),
    Bad("SCRAM: OK without a signature", {"AUTHENTICATE": [Scram(""), TAGGED_OK]}, (76, 77),
        offers="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN", again=False, never=("SELECT",)),
    Bad("SCRAM: OK at once", {"AUTHENTICATE": [TAGGED_OK]}, (76, 77),
        offers="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256", again=False, never=("SELECT",)),
    Bad("SCRAM: wrong signature", {"AUTHENTICATE": [Scram("wrong signature"), TAGGED_OK]},
        (76, 77), offers="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN", again=False,
        never=("SELECT",)),
    Bad("SCRAM: foreign nonce", {"AUTHENTICATE": [Scram("foreign nonce"), TAGGED_OK]}, (76, 77),
        offers="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN", again=False, never=("SELECT",)),
    Bad("SCRAM: a thousand million iterations", {"AUTHENTICATE": [Scram("", 1_000_000_000)]},
        (76, 77), offers="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256", again=False),
    Bad("SELECT: NO", {"SELECT": ["{tag} NO [NONEXISTENT] no such mailbox"]}, (75, 76, 78),
        "no such mailbox"),
    Bad("SELECT: without UIDVALIDITY", {"SELECT": ["* 5 EXISTS", TAGGED_OK]}, (75, 76)),
    Bad("SELECT: UIDVALIDITY 0", {"SELECT": ["* 5 EXISTS", "* OK [UIDVALIDITY 0] x", TAGGED_OK]},
        (75, 76)),
    Bad("SELECT: UIDVALIDITY too large", {"SELECT": ["* OK [UIDVALIDITY 4294967296] x", TAGGED_OK]},
        (75, 76)),
    Bad("SELECT: without UIDNEXT", {"SELECT": ["* 5 EXISTS", "* OK [UIDVALIDITY 77] x",
                                               TAGGED_OK]}, 0, arrives=ALL),
    Bad("SELECT: UIDNEXT lies low", {"SELECT": [
        "* 5 EXISTS", "* OK [UIDVALIDITY 77] x", "* OK [UIDNEXT 1] x", TAGGED_OK]}, (0, 75, 76),
        arrives=None),
    Bad("SELECT: more EXISTS than there can be", {"SELECT": [
        "* 99999999999999999999 EXISTS", "* OK [UIDVALIDITY 77] x", TAGGED_OK]}, (0, 76),
        arrives=None),
    Bad("SELECT: flood", {"SELECT": [Flood(b"* 5 EXISTS\r\n", 300_000_000), Stall()]}, CLOSED,
        within=40),
    Bad("SELECT: BYE", {"SELECT": ["* BYE shutting down", Hangup()]}, 75, "shutting down"),
    Bad("list: uid 0", {"list": ["* 1 FETCH (UID 0 RFC822.SIZE 10)", HONEST]}, (0, 76),
        arrives=None),
    Bad("list: uid too large", {"list": ["* 1 FETCH (UID 4294967296 RFC822.SIZE 10)", HONEST]},
        (0, 76), arrives=None),
    Bad("list: negative size", {"list": ["* 1 FETCH (UID 1 RFC822.SIZE -5)", HONEST]}, (0, 76),
        arrives=None),
    Bad("list: each uid twice", {"list": ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 2)", HONEST]}, 0,
        arrives=ALL),
    Bad("list: foreign lines", {"list": [
        "* 9 EXISTS", "* 2 RECENT", "* XYZZY (a b {3}", "abc)", "* 1 FETCH (FLAGS (\\Seen))",
        "* OK [ALERT] the disk is \x1b[1mfull", "* FLAGS (\\Seen)", HONEST]}, 0, arrives=ALL),
    Bad("list: a thousand parentheses", {"list": [b"* 1 FETCH (X " + b"(" * 100_000 + b"\r\n",
                                                  HONEST]}, (0, 76), arrives=None),
    Bad("list: a line without end", {"list": [b"* 1 FETCH (UID 1 X ", Flood(b"x", 50_000_000)]},
        76),
    Bad("fetch: the same body again and again", {"body 1": [Dribble(endless(
        b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n"), 0.03)]}, CLOSED, arrives=None, within=40,
        again=False),
    Bad("fetch: ALERT, EXISTS and EXPUNGE without end", {"body 1": [Dribble(endless(
        b"* OK [ALERT] hi\r\n* 9 EXISTS\r\n* 9 EXPUNGE\r\n"), 0.03)]}, CLOSED, within=40),
    Bad("list: dribble without end", {"list": [Dribble(endless(b"* 1 FETCH (UID 1)\r\n"), 0.05)]},
        CLOSED, within=120),
    Bad("list: NO", {"list": ["{tag} NO busy"]}, (75, 76), "busy"),
    Bad("list: silence", {"list": [Stall()]}, 75),
    Bad("list: FIN", {"list": [Hangup()]}, CLOSED),
    Bad("bodies: NO after two", {"body 3": ["{tag} NO some are gone", Stall()]}, (0, 75, 76),
        arrives={1, 2}),
    Bad("bodies: OK and three are missing", {"body 3": [TAGGED_OK, Stall()]}, (0, 75, 76),
        arrives={1, 2}),
    Bad("bodies: one is gone", {"body 3": []}, 0, arrives=ALL - {3}),
    Bad("body: cut by FIN", {"body 3": [body(WHOLE, b"100000", after=b""), Hangup()]}, CLOSED,
        arrives={1, 2}),
    Bad("body: cut by RST", {"body 3": [body(WHOLE, b"100000", after=b""), Pause(0.3), Reset()]},
        CLOSED, arrives=None),
    Bad("body: silence in the middle", {"body 3": [body(WHOLE, b"100000", after=b""), Stall()]},
        75, arrives={1, 2}),
    Bad("body: longer than announced", {"body 3": [body(WHOLE, b"10"), Stall()]}, 76,
        arrives={1, 2}),
    Bad("body: shorter than announced", {"body 3": [body(WHOLE, b"%d" % (len(WHOLE) + 9))]},
        CLOSED, arrives={1, 2}),
    Bad("body: NIL", {"body 3": ["* {seq} FETCH (UID {uid} BODY[] NIL)"]}, (0, 75, 76),
        arrives=ALL - {3}),
    Bad("body: empty string", {"body 3": ['* {seq} FETCH (UID {uid} BODY[] "")']}, (0, 75, 76),
        arrives=ALL - {3}),
    Bad("body: empty literal", {"body 3": [body(b"")]}, (0, 75, 76), arrives=ALL - {3}),
    Bad("body: an octet count too large", {"body 3": [body(WHOLE, b"99999999999999999999")]}, 76,
        arrives={1, 2}),
    Bad("body: a negative octet count", {"body 3": [body(WHOLE, b"-1")]}, 76, arrives={1, 2}),
    Bad("body: of a uid that nobody asked for", {"body 3": [
        b"* 3 FETCH (UID 999 BODY[] {21}\r\n" + WHOLE + b")\r\n", HONEST]}, (0, 75, 76),
        arrives=None),
    Bad("body: without its uid", {"body 3": [b"* 3 FETCH (BODY[] {21}\r\n" + WHOLE + b")\r\n",
                                             HONEST]}, (0, 75, 76), arrives=None),
    Bad("body: the same uid twice", {"body 3": [HONEST, HONEST]}, (0, 76), arrives=None),
    Bad("body: legal chatter in between", {"body 3": [
        "* 6 EXISTS", "* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (UID 1 FLAGS ())",
        "* OK still here", "* BAD an untagged one", "* NO a warning", HONEST, "* 9 EXPUNGE"]}, 0,
        arrives=ALL),
    Bad("body: an impossible date", {"body 3": [
        body(WHOLE, before=b'INTERNALDATE "99-Xxx-2020 99:99:99 +9999" ')]}, (0, 75, 76),
        arrives=None, mail=[b"Subject: a\r\n\r\na\r\n", b"Subject: b\r\n\r\nb\r\n", WHOLE]),
    Bad("body: BYE in between", {"body 3": ["* BYE maintenance", Hangup()]}, 75, "maintenance",
        arrives={1, 2}),
    Bad("body: flood of chatter", {"body 3": [Flood(b"* OK still here\r\n", 300_000_000),
                                              Stall()]}, CLOSED, arrives={1, 2}, within=40),
    Bad("STORE: NO", {"STORE": ["{tag} NO read-only"]}, (0, 75, 76), arrives=ALL),
    Bad("STORE: silence", {"STORE": [Stall()]}, 75, arrives=ALL),
    Bad("EXPUNGE: NO", {"EXPUNGE": ["{tag} NO"]}, (0, 75, 76), arrives=ALL),
    Bad("no UIDPLUS: nothing is expunged", {}, 0, arrives=ALL, never=("EXPUNGE",),
        offers="IMAP4rev1 SASL-IR AUTH=PLAIN"),
    Bad("LOGOUT: silence", {"LOGOUT": [Stall()]}, (0, 75), arrives=ALL),
    Bad("LOGOUT: FIN without BYE", {"LOGOUT": [Hangup()]}, (0, 75), arrives=ALL),
    Bad("implicit: silence", {"handshake": [Stall()]}, CLOSED, implicit=True),
    Bad("implicit: PREAUTH", {"greeting": ["* PREAUTH welcome"]}, (0, 76), implicit=True,
        arrives=None, again=False),
    Bad("implicit: expired", {"handshake": [Handshake("expired")]}, 76, "expired", implicit=True),
]

END = b".\r\n"

POP3 = GREETINGS + handshakes("STLS", b"+OK begin\r\n") + [
    Bad("greeting: of an IMAP server", {"greeting": ["* OK hello"]}, 76),
    Bad("greeting: -ERR", {"greeting": ["-ERR overloaded", Hangup()]}, (75, 76), "overloaded"),
    Bad("CAPA and STLS: -ERR", {"CAPA": ["-ERR what"], "STLS": ["-ERR what", Stall()]}, 76),
    Bad("STLS is not offered", {"CAPA": ["+OK", "USER", "UIDL", "."]}, 76,
        ("nothing was sent", "implicit")),
    Bad("STLS: -ERR", {"STLS": ["-ERR not now", Stall()]}, 76, "not now"),
    Bad("CAPA: without end", {"CAPA": ["+OK", Flood(b"STLS\r\n", 100_000_000)]}, CLOSED),
    Bad("CAPA: silence", {"CAPA": [Stall()]}, 75, "CAPA"),
    Bad("login refused", {"AUTH": ["-ERR [AUTH] no"], "PASS": ["-ERR [AUTH] no"]}, 77, "no"),
    Bad("login: IN-USE", {"AUTH": ["-ERR [IN-USE] locked"], "PASS": ["-ERR [IN-USE] locked"]}, 75,
        "locked"),
    Bad("login: LOGIN-DELAY", {"AUTH": ["-ERR [LOGIN-DELAY] wait"],
                               "PASS": ["-ERR [LOGIN-DELAY] wait"]}, 75, "wait"),
    Bad("login: SYS/TEMP", {"AUTH": ["-ERR [SYS/TEMP] oops"], "PASS": ["-ERR [SYS/TEMP] oops"]},
        75, "oops"),
    Bad("login: PASS is refused", {"PASS": ["-ERR no"]}, 77, "no", offers="USER|UIDL"),
    Bad("login: silence", {"AUTH": [Stall()]}, 75),
    Bad("login: a huge challenge", {"AUTH": [b"+ ", Flood(b"QUJD", 20_000_000), Stall()]},
        (76, 77)),
    Bad("SCRAM: OK without a signature", {"AUTH": [Scram(""), "+OK"]}, (76, 77), again=False,
        offers="UIDL|SASL SCRAM-SHA-256 PLAIN", never=("STAT", "UIDL")),
    Bad("SCRAM: wrong signature", {"AUTH": [Scram("wrong signature"), "+OK"]}, (76, 77),
        again=False, offers="UIDL|SASL SCRAM-SHA-256 PLAIN", never=("STAT", "UIDL")),
    Bad("no way to log in", {}, (76, 77), offers="UIDL", again=False),
    Bad("UIDL: not there", {"UIDL": ["-ERR what"]}, (75, 76, 78), "UIDL", again=False,
        offers="USER|SASL PLAIN|PIPELINING"),
    Bad("UIDL: numbers above STAT's", {"UIDL": ["+OK", "1 a", "999999 b", "."]}, (0, 76),
        arrives=None, again=False),
    Bad("UIDL: negative number", {"UIDL": ["+OK", "-1 a", "."]}, (0, 76), again=False),
    Bad("UIDL: number 0", {"UIDL": ["+OK", "0 a", "."]}, (0, 76), again=False),
    Bad("UIDL: huge number", {"UIDL": ["+OK", "99999999999999999999 a", "."]}, (0, 76),
        again=False),
    Bad("UIDL: a number twice", {"UIDL": ["+OK", "1 a", "1 b", "."]}, (0, 76), arrives=None,
        again=False),
    Bad("UIDL: equal for all", {"UIDL": ["+OK"] + ["%d same" % n for n in range(1, 6)] + ["."]},
        0, arrives=ALL, again=False),
    Bad("UIDL: no uid", {"UIDL": ["+OK", "1 ", "2", "."]}, (0, 76), again=False),
    Bad("UIDL: an uid of ten thousand octets", {"UIDL": ["+OK", "1 " + "x" * 10_000, "."]},
        (0, 76), arrives=None, again=False),
    Bad("UIDL: control characters", {"UIDL": [b"+OK\r\n1 \x1b[31m\x07\x01\r\n.\r\n"]}, (0, 76),
        arrives=None, again=False),
    Bad("UIDL: flood", {"UIDL": ["+OK", Flood(b"1 a\r\n", 300_000_000)]}, CLOSED, within=40),
    Bad("UIDL: without end", {"UIDL": ["+OK", "1 a", Stall()]}, 75),
    Bad("UIDL: dribble without end", {"UIDL": ["+OK", Dribble(endless(b"1 a\r\n"), 0.05)]},
        CLOSED, within=120),
    Bad("LIST: other sizes", {"LIST": ["+OK"] + ["%d 7" % n for n in range(1, 6)] + ["."]}, 0,
        arrives=ALL),
    Bad("LIST: nonsense", {"LIST": ["+OK", "-3 -7", "99 99", "x", "."]}, (0, 76), arrives=None),
    Bad("STAT: too many", {"STAT": ["+OK 99999999999999 1"]}, (0, 76), arrives=None),
    Bad("STAT: negative", {"STAT": ["+OK -1 -1"]}, (0, 76), arrives=None),
    Bad("STAT: nothing", {"STAT": ["+OK"]}, (0, 76), arrives=None),
    Bad("RETR: -ERR for one", {"body 3": ["-ERR damaged"]}, (75, 76), "damaged",
        arrives=ALL - {3}),
    Bad("RETR: cut by FIN", {"body 3": ["+OK", WHOLE, Hangup()]}, CLOSED, arrives={1, 2}),
    Bad("RETR: cut by RST", {"body 3": ["+OK", WHOLE, Pause(0.3), Reset()]}, CLOSED,
        arrives=None),
    Bad("RETR: silence in the middle", {"body 3": ["+OK", WHOLE, Stall()]}, 75, arrives={1, 2}),
    Bad("RETR: nothing", {"body 3": [b"+OK\r\n", END]}, (0, 75, 76), arrives=ALL - {3}),
    Bad("RETR: LF . LF does not end it", {}, 0, arrives={1, 2},
        mail=[b"Subject: a\r\n\r\nbefore\n.\nafter\r\n", b"Subject: b\r\n\r\nb\r\n"]),
    Bad("RETR: neither +OK nor -ERR", {"body 3": [b"OK here it comes\r\n" + WHOLE + END]}, 76,
        arrives={1, 2}),
    Bad("DELE: -ERR", {"DELE": ["-ERR no"]}, (0, 75, 76), arrives=ALL),
    Bad("QUIT: -ERR", {"QUIT": ["-ERR some were not removed", Hangup()]}, (0, 75, 76),
        arrives=ALL),
    Bad("QUIT: silence", {"QUIT": [Stall()]}, (0, 75), arrives=ALL),
    Bad("QUIT: FIN", {"QUIT": [Hangup()]}, (0, 75), arrives=ALL),
    Bad("no PIPELINING: one command at a time", {}, 0, arrives=ALL,
        offers="USER|UIDL|SASL PLAIN"),
    Bad("implicit: silence", {"handshake": [Stall()]}, CLOSED, implicit=True),
    Bad("implicit: expired", {"handshake": [Handshake("expired")]}, 76, "expired", implicit=True),
]
