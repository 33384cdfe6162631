"""Grammar and size: what stands in the mailbox, and how a server may lie about it."""
from actions import HONEST, Bytewise, Flood, Hangup, Pause, Stall
from bad import ALL, CLOSED, END, TAGGED_OK, WHOLE, Bad, body

ONES = (b"Subject: a\r\n\r\na\r\n", b"Subject: b\r\n\r\nb\r\n")
LONG_LINE = b"Subject: long\r\n\r\n" + b"x" * 10_000_000 + b"\r\n.\r\n" + b"y" * 70_000 + b"\r\n"
AWKWARD = [
    b"Subject: NUL\r\n\r\nbe\0fore\r\n\0\r\n\0",
    b"Subject: bare CR\r\n\r\none\rtwo\r\r\n\r\rthree\r\r\n",
    b"Subject: bare LF\r\n\r\none\n.\ntwo\n\n.\r\n.\nthree\r\n",
    b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.a\r\n\r\n.\r\n",
    b"Subject: all octets\r\n\r\n" + bytes(range(256)) + b"\r\n",
]
AWKWARD = [one if one.endswith(b"\r\n") else one + b"\r\n" for one in AWKWARD]
DOTS = AWKWARD[3]
UIDS = ["* %d FETCH (UID %d RFC822.SIZE 10)" % (n, n) for n in range(1, 6)]
SELECTED = ["* 5 EXISTS", "* OK [UIDVALIDITY 77] x", "* OK [UIDNEXT 6] x"]
NAMELESS = b"* {seq} FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(WHOLE), WHOLE)
OTHER = b"* 9 FETCH (UID 999 BODY[] {%d}\r\n%s)\r\n" % (len(WHOLE), WHOLE)


def whole(uid):
    """Said twice, it must arrive once: the first of them counts."""
    return b"* {seq} FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, len(WHOLE), WHOLE)


BOTH = [
    Bad("mail: NUL, bare CR, bare LF, dots, all octets", {}, 0, arrives=ALL, mail=AWKWARD),
    Bad("mail: a line of 10 MB", {}, 0, arrives={1, 2, 3}, within=40, mail=[*ONES, LONG_LINE]),
    Bad("mail: a header of 10 MB", {}, 0, arrives={1, 2, 3}, within=40, mail=[
        *ONES, b"Subject: " + b"x" * 10_000_000 + b"\r\n\r\nbody\r\n"]),
    Bad("mail: a hundred thousand headers", {}, 0, arrives={1}, within=40, mail=[
        b"X-A: b\r\n" * 100_000 + b"\r\nbody\r\n"]),
    Bad("mail: no header and no end of it", {}, 0, arrives={1, 2, 3}, mail=[
        b"\r\n", b"x\r\n", b"Received: x\r\n"]),
]

IMAP = BOTH + [
    Bad("literal: 4294967295 octets announced, few sent", {"body 3": [
        body(WHOLE, b"4294967295", after=b""), Hangup()]}, CLOSED, "closed", arrives={1, 2}),
    Bad("literal: 4294967295 octets announced, and silence", {"body 3": [
        body(WHOLE, b"4294967295", after=b""), Stall()]}, 75, "UID FETCH", arrives={1, 2}),
    Bad("literal: 4294967296 octets announced", {"body 3": [
        body(WHOLE, b"4294967296", after=b""), Hangup()]}, CLOSED, arrives={1, 2}),
    Bad("literal: 30 digits", {"body 3": [body(WHOLE, b"1" * 30)]}, 76, arrives={1, 2}),
    Bad("literal: 30 digits that are small", {"body 3": [body(
        WHOLE, b"0" * 28 + b"%d" % len(WHOLE))]}, (0, 76), arrives=None, mail=[*ONES, WHOLE]),
    Bad("literal: 30 digits in the list", {"list": [b"* 1 FETCH (UID 1 X {" + b"1" * 30 + b"}\r\n",
                                                    Stall()]}, 76),
    Bad("literal: 4294967295 octets in the list", {"list": [
        b"* 1 FETCH (UID 1 X {4294967295}\r\n", Flood(b"x", 50_000_000), Stall()]}, 76),
    Bad("literal: an octet too few", {"body 3": [body(WHOLE, b"%d" % (len(WHOLE) + 1))]}, CLOSED,
        arrives={1, 2}),
    Bad("literal: an octet too many", {"body 3": [body(WHOLE, b"%d" % (len(WHOLE) - 1)), Stall()]},
        76, arrives={1, 2}),
    Bad("literal: another one behind", {"body 3": [
        b"* {seq} FETCH (UID {uid} BODY[] {3}\r\nabc{3}\r\nabc)\r\n", Stall()]}, 76,
        arrives={1, 2}),
    Bad("literal: nothing between the braces", {"body 3": [body(WHOLE, b""), Stall()]}, 76,
        arrives={1, 2}),
    Bad("literal: split in records", {"body 3": [Bytewise(
        b"* {seq} FETCH (UID {uid} BODY[] {%d}\r\n%s)\r\n" % (len(WHOLE), WHOLE))]}, 0,
        arrives={1, 2, 3}, mail=[*ONES, WHOLE]),
    Bad("grammar: 100,000 nested parentheses", {"list": [
        b"* 1 FETCH (UID 1 X " + b"(" * 100_000 + b")" * 100_000 + b")\r\n", Stall()]}, 76),
    Bad("grammar: 30,000 nested parentheses in a body's line", {"body 3": [
        b"* 3 FETCH (UID 3 X " + b"(" * 30_000 + b")" * 30_000 + b")\r\n", Stall()]}, 76,
        arrives={1, 2}),
    Bad("grammar: 100,000 closing parentheses", {"list": [b"* 1 FETCH " + b")" * 100_000 + b"\r\n",
                                                          Stall()]}, 76),
    Bad("grammar: a line without end in the bodies", {"body 3": [
        b"* 3 FETCH (UID 3 X ", Flood(b"x", 50_000_000)]}, 76, arrives={1, 2}),
    Bad("grammar: a quoted string without end", {"list": [b'* 1 FETCH (X "', Flood(
        b"\\\\", 50_000_000)]}, 76),
    Bad("grammar: literals without end", {"list": [b"* 1 FETCH (", Flood(b"X {1}\r\nx ",
                                                                         50_000_000)]}, 76),
    Bad("grammar: tokens without end", {"list": [b"* 1 FETCH (", Flood(b"X 1 ", 50_000_000)]}, 76),
    Bad("grammar: NULs", {"list": [b"\0" * 1000 + b"\r\n", Stall()]}, 76),
    Bad("grammar: a lone CR", {"list": [b"* OK a\r* 1 FETCH (UID 1)\r\n", HONEST]}, (0, 76),
        arrives=None),
    Bad("list: descending", {"list": [*UIDS[::-1], TAGGED_OK]}, 0, arrives=ALL),
    Bad("list: repeated a hundred thousand times", {"list": [
        Flood(b"* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n", 3_000_000), HONEST]}, 0, arrives=ALL,
        within=40),
    Bad("list: a million uids that are not there", {"list": [
        b"".join(b"* 1 FETCH (UID %d)\r\n" % uid for uid in range(100_000, 300_000)), HONEST]},
        (0, 75, 76), arrives=None, within=40, again=False),
    Bad("list: uids that were not asked for", {"list": [
        "* 6 FETCH (UID 4294967295)", "* 7 FETCH (UID 4294967294)", HONEST]}, (0, 75, 76),
        arrives=None, again=False),
    Bad("list: two uids in one answer", {"list": ["* 1 FETCH (UID 1 UID 2)", Stall()]}, 76),
    Bad("list: uid of 30 digits", {"list": ["* 1 FETCH (UID %s)" % ("1" * 30), Stall()]}, 76),
    Bad("list: uid with a sign", {"list": ["* 1 FETCH (UID +1)", Stall()]}, 76),
    Bad("list: tagged with another tag", {"list": [*UIDS, "a999 OK", Stall()]}, 76),
    Bad("list: FETCH without uids", {"list": ["* 1 FETCH (RFC822.SIZE 10)", TAGGED_OK]}, 75,
        "lists none"),
    Bad("list: nothing, though there is something", {"list": [TAGGED_OK]}, 75, "lists none"),
    Bad("list: a million untagged responses", {"list": [Flood(b"* OK busy\r\n", 11_000_000),
                                                        HONEST]}, (0, 75, 76), arrives=None,
        within=40),
    Bad("body: a million untagged responses", {"body 3": [Flood(b"* 5 EXISTS\r\n", 12_000_000),
                                                          HONEST]}, (0, 75, 76), arrives=None,
        within=40),
    Bad("body: of other messages, all of them", {"body 3": [OTHER] * 50 + [HONEST]}, 0,
        arrives=ALL),
    Bad("body: of a message not yet in the mailbox", {"body 3": [whole(6), HONEST]}, 0,
        arrives=ALL),
    Bad("body: without a body", {"body 3": ["* 3 FETCH (UID 3 FLAGS ())"]}, (0, 75, 76),
        arrives=ALL - {3}),
    Bad("body: RFC822.SIZE instead", {"body 3": ["* 3 FETCH (UID 3 RFC822.SIZE 10)"]},
        (0, 75, 76), arrives=ALL - {3}),
    Bad("body: a part of it", {"body 3": [
        b"* 3 FETCH (UID 3 BODY[]<0> {3}\r\nabc)\r\n"]}, (0, 75, 76), arrives=ALL - {3}),
    Bad("body: the header instead", {"body 3": [
        b"* 3 FETCH (UID 3 BODY[HEADER] {14}\r\nSubject: x\r\n\r\n)\r\n"]}, (0, 75, 76),
        arrives=ALL - {3}),
    Bad("body: a list", {"body 3": ["* 3 FETCH (UID 3 BODY[] (a b))", Stall()]}, 76,
        arrives={1, 2}),
    Bad("body: an atom", {"body 3": ["* 3 FETCH (UID 3 BODY[] abc)", Stall()]}, 76,
        arrives={1, 2}),
    Bad("body: twice in one answer", {"body 3": [
        b"* 3 FETCH (UID 3 BODY[] {21}\r\n" + WHOLE + b" BODY[] {21}\r\n" + WHOLE + b")\r\n",
        HONEST]}, (0, 76), arrives={1, 2, 3}, mail=[*ONES, WHOLE]),
    Bad("body: the same one for two uids", {"body 3": [whole(3)], "body 4": [whole(3)]},
        (0, 75, 76), arrives={1, 2, 3, 5}, mail=[*ONES, WHOLE, WHOLE + b"4\r\n", WHOLE + b"5\r\n"]),
    Bad("body: without its uid, and no other", {"body 3": [NAMELESS]}, (0, 75, 76),
        arrives=ALL - {3}),
    Bad("body: two uids", {"body 3": [
        b"* 3 FETCH (UID 3 BODY[] {21}\r\n" + WHOLE + b" UID 4)\r\n", Stall()]}, 76,
        arrives={1, 2}),
    Bad("UIDVALIDITY changes in the list", {"list": ["* OK [UIDVALIDITY 78] new", HONEST]},
        CLOSED, "UIDVALIDITY"),
    Bad("UIDVALIDITY changes among the bodies", {"body 3": ["* OK [UIDVALIDITY 78] new", HONEST]},
        CLOSED, "UIDVALIDITY", arrives={1, 2}),
    Bad("UIDVALIDITY changes before the removal", {"STORE": ["* OK [UIDVALIDITY 78] new", HONEST]},
        CLOSED, "UIDVALIDITY", arrives=ALL, again=False),
    Bad("UIDVALIDITY: told twice, and not the same", {"SELECT": [
        "* 5 EXISTS", "* OK [UIDVALIDITY 77] x", "* OK [UIDVALIDITY 78] x", TAGGED_OK]},
        (0, 75, 76), arrives=None, again=False),
    Bad("UIDVALIDITY: none the second time", {"SELECT": [
        "* 5 EXISTS", "* OK [UIDVALIDITY 77] x", "* OK [UIDVALIDITY nonsense] x", TAGGED_OK]}, 76),
    Bad("EXPUNGE in the list", {"list": ["* 1 EXPUNGE", "* 1 EXPUNGE", HONEST]}, 0, arrives=ALL),
    Bad("EXPUNGE among the bodies: numbers move, uids do not", {"body 3": [
        "* 1 EXPUNGE", "* 1 EXPUNGE", b"* 1 FETCH (UID 3 BODY[] {21}\r\n" + WHOLE + b")\r\n"]}, 0,
        arrives=ALL, mail=[*ONES, WHOLE, WHOLE + b"4\r\n", WHOLE + b"5\r\n"]),
    Bad("EXPUNGE without end", {"body 3": [Flood(b"* 1 EXPUNGE\r\n", 13_000_000), HONEST]},
        (0, 75, 76), arrives=None, within=40),
    Bad("VANISHED among the bodies", {"body 3": [
        "* VANISHED 3", "* VANISHED (EARLIER) 1:4294967295"]}, 0, arrives=ALL - {3}),
    Bad("EXISTS grows without end", {"body 3": [
        b"".join(b"* %d EXISTS\r\n" % n for n in range(6, 50_000)), HONEST]}, 0, arrives=ALL,
        within=40),
    Bad("EXISTS shrinks to nothing", {"list": ["* 0 EXISTS", HONEST]}, 0, arrives=ALL),
    Bad("SELECT: read-only, and keep: false", {"SELECT": [
        *SELECTED, "{tag} OK [READ-ONLY] examine it"]}, (0, 75, 76), arrives=ALL, again=False),
    Bad("SELECT: five messages, and none told", {"SELECT": [
        "* OK [UIDVALIDITY 77] x", TAGGED_OK]}, 0, again=False),
    Bad("SELECT: UIDNEXT of 30 digits", {"SELECT": [
        "* 5 EXISTS", "* OK [UIDVALIDITY 77] x", "* OK [UIDNEXT %s] x" % ("9" * 30), TAGGED_OK]},
        (0, 76), arrives=None),
    Bad("STORE: foreign messages vanish", {"STORE": ["* 1 FETCH (UID 1 FLAGS (\\Deleted))",
                                                     "* 9 EXPUNGE", HONEST]}, 0, arrives=ALL),
    Bad("EXPUNGE: BYE", {"EXPUNGE": ["* BYE away", Hangup()]}, 75, "away", arrives=ALL),
    Bad("the OK comes before the bodies", {"bodies": [TAGGED_OK, Pause(0.1), whole(3), Stall()]},
        (0, 75, 76), again=False),
]


def uidl(name, *uids, code=(0, 76), arrives=None, octets=None, **more):
    lines = octets or b"".join(b"%d %s\r\n" % (n, uid) for n, uid in enumerate(uids, 1))
    return Bad("UIDL: " + name, {"UIDL": [b"+OK\r\n" + lines + END]}, code, arrives=arrives,
               again=False, **more)


TWICE = [HONEST, HONEST]
DOUBTED = "more answers than it was asked for"


def strays(name, answers, code=76, words=DOUBTED, **more):
    """One answer too many, and all behind it stand under another's number. When the last of them is
    left over it shows: then nothing is removed, and all that came in this visit comes again."""
    more = {"twice": True, "never": ("QUIT",), **more}
    return Bad("RETR: " + name, answers, code, words, arrives=None, **more)


POP3 = BOTH + [
    strays("answered twice", {"body 3": TWICE}),
    strays("answered twice, and mail stays", {"body 3": TWICE}, keys={"keep": True}, never=()),
    strays("answered twice, and the last of it comes late", {"body 3": TWICE, "body 5": [
        Pause(1), HONEST]}, keys={"keep": True}, never=()),
    strays("the last answered again behind all, and mail stays", {"body 5": [
        HONEST, Pause(1), HONEST]}, keys={"keep": True}, never=()),
    strays("the first answered twice", {"body 1": TWICE}),
    strays("the last answered twice", {"body 5": TWICE}),
    strays("each answered twice", {"body %d" % n: TWICE for n in range(1, 6)}),
    strays("one answered a hundred times", {"body 2": [HONEST] * 100}),
    strays("one answered without end", {"body 2": [HONEST, Flood(
        b"+OK\r\nSubject: b\r\n\r\nb\r\n.\r\n", 30_000_000)]}, mail=ONES),
    strays("answered twice, one command at a time", {"body 3": TWICE},
           offers="USER|UIDL|SASL PLAIN"),
    strays("answered twice, to an MDA", {"body 3": TWICE}, keys={"deliver": {
        "mda": ["/bin/sh", "-c", "mkdir -p Maildir/new; cat >Maildir/new/$$"]}}),
    strays("the last answered a second time when all is safe", {"body 5": [
        HONEST, Pause(1), HONEST]}),
    uidl("1,000 characters", *[b"%d" % n + b"x" * 999 for n in range(5)]),
    uidl("100 characters, more than RFC 1939 allows", *[b"%d" % n + b"x" * 99 for n in range(5)],
         code=0, arrives=ALL),
    uidl("spaces", *[b"a b %d" % n for n in range(5)]),
    uidl("a space at the end", *[b"a%d " % n for n in range(5)]),
    uidl("slashes", *[b"/etc/passwd/%d" % n for n in range(5)], code=0, arrives=ALL),
    uidl("..", b"..", b"../../x", b"../../../../../../tmp/x", b".", b"...", code=0, arrives=ALL),
    uidl("like options and commands", b"-rf", b"$(id)", b"`id`", b"'", b"%s%n", code=0,
         arrives=ALL),
    uidl("NUL", b"a\0b", b"a\0c", b"d", b"e", b"f"),
    uidl("8-bit", b"\xff\xfe", b"\x9b31m", b"\xe2\x80\xae", b"a", b"b"),
    uidl("equal but for case", b"a", b"A", b"b", b"B", b"c", code=0, arrives=ALL),
    uidl("duplicates among others", b"a", b"b", b"a", b"c", b"a", code=0, arrives=ALL),
    uidl("like our own names for duplicates", b"a", b"a 2", b"a", b"b", b"c"),
    uidl("a number of 30 digits", octets=b"1" * 30 + b" a\r\n"),
    uidl("numbers descending", octets=b"".join(b"%d u%d\r\n" % (n, n) for n in range(5, 0, -1)),
         code=0, arrives=ALL),
    uidl("more than STAT", octets=b"".join(b"%d u%d\r\n" % (n, n) for n in range(1, 100_000)),
         code=76, arrives=frozenset()),
    uidl("fewer than STAT", b"a", b"b", code=0, arrives={1, 2}),
    uidl("a line without end", octets=b"1 " + b"x" * 1_000_000, code=76, arrives=frozenset()),
    Bad("STAT: ten million messages, and as many ids", {"STAT": ["+OK 9999999 1"], "UIDL": [
        "+OK", b"".join(b"%d u%d\r\n" % (n, n) for n in range(1, 200_000)), Hangup()]}, CLOSED,
        within=40),
    Bad("STAT: too many messages", {"STAT": ["+OK 4294967295 1"]}, 76),
    Bad("STAT: -ERR", {"STAT": ["-ERR no"]}, CLOSED, "no"),
    Bad("dot-stuffing split at every octet", {"body 3": [Bytewise(
        b"+OK\r\n" + DOTS.replace(b"\r\n.", b"\r\n..") + END)]}, 0, arrives={1, 2, 3},
        mail=[*ONES, DOTS]),
    Bad("RETR: an octet too many in front of the end", {"body 3": ["+OK", WHOLE + b".x\r\n" + END]},
        0, arrives={1, 2, 3}, mail=[*ONES, WHOLE + b"x\r\n"]),
    Bad("RETR: LF . CRLF, CRLF . LF do not end it", {"body 3": [
        "+OK", b"Subject: x\r\n\r\na\n.\r\nb\r\n.\nc\r\n" + END]}, 0, arrives={1, 2, 3}, mail=[
            *ONES, b"Subject: x\r\n\r\na\n.\r\nb\r\n\nc\r\n"]),
    Bad("RETR: ends in the middle of a line", {"body 3": ["+OK", WHOLE + b"x.\r\n", Stall()]}, 75,
        arrives={1, 2}),
    Bad("RETR: -ERR for each", {"body %d" % n: ["-ERR damaged %d" % n] for n in range(1, 6)},
        (75, 76), "damaged"),
    Bad("RETR: -ERR, and a body behind it", {"body 3": ["-ERR damaged", WHOLE, "."]}, 76,
        arrives={1, 2}),
    Bad("RETR: a line without end", {"body 3": ["+OK", WHOLE, Flood(b"x", 60_000_000), Hangup()]},
        CLOSED, arrives={1, 2}, within=40),
    Bad("DELE: nonsense", {"DELE": [b"what?\r\n", Stall()]}, 76, arrives=ALL, again=False),
    Bad("QUIT: +OK after much chatter", {"QUIT": [Flood(b"x" * 1000 + b"\r\n", 1_000_000)]},
        (75, 76), arrives=ALL, again=False),
]
