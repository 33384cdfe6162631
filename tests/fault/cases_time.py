"""Time: whatever it waits for, mailhaul gives up after `timeout` (3 s here); and a server that
sends something must send enough of it, or something that moves the session on."""
from actions import HONEST, Deaf, Dribble, Stall, endless
from bad import ALL, CLOSED, TAGGED_OK, Bad, body

SLOW = b"Subject: slow\r\n\r\n" + b"".join(b"line %04d of it\r\n" % n for n in range(700))
ONES = (b"Subject: a\r\n\r\na\r\n", b"Subject: b\r\n\r\nb\r\n")
MAIL = [*ONES, SLOW]


def steps(*several, offers=None):
    """several: (step, what it is called, what has arrived by then). Each in silence, in a dribble
    of octets, in a line now and then, and with a server that reads no more."""
    for step, name, arrived in several:
        for what, actions, within in (
                ("silence", [Stall()], 8), ("dribble", [Dribble(endless(b"x"), 0.3)], 15),
                ("reads nothing", [Deaf()], 8)):
            yield Bad("time, %s: %s" % (step, what), {step: actions}, CLOSED, name, within=within,
                      arrives=arrived, again=False, offers=offers)


MANY = 4000  # every other uid, so that no set is short
SCATTERED = b"".join(b"* %d FETCH (UID %d)\r\n" % (n, 2 * n) for n in range(1, MANY + 1))
LITTLE = 2304  # octets, the least that Linux lets a window be


def slowly(octets, **how):
    """An honest message, 1,400 octets a second, for longer than `timeout`."""
    return Dribble(octets, 0.5, count=700, **how)


NEVER = frozenset()
IMAP_BODY = b"* {seq} FETCH (UID {uid} BODY[] {%d}\r\n%s)\r\n" % (len(SLOW), SLOW)
CHATTER = b"* OK still here\r\n* 1 FETCH (FLAGS ())\r\n* 5 EXISTS\r\n"

IMAP = [
    *steps(("CAPABILITY after", "the answer to CAPABILITY", NEVER),
           ("AUTHENTICATE", "the answer to AUTHENTICATE", NEVER), ("ID", "the answer to ", NEVER),
           ("SELECT", "the answer to SELECT", NEVER), ("list", "the list of messages", NEVER),
           ("body 3", "the answer to UID FETCH", {1, 2}),
           ("STORE", "the answer to UID STORE", ALL), ("EXPUNGE", "the answer to UID EXPUNGE", ALL),
           ("LOGOUT", "the answer to LOGOUT", ALL)),
    *steps(("LOGIN", "the answer to LOGIN", NEVER), offers="IMAP4rev1 UIDPLUS"),
    Bad("time, an honest message that is slow", {"body 3": [slowly(IMAP_BODY)]}, 0,
        arrives={1, 2, 3}, mail=MAIL, within=30),
    Bad("time, an honest message that is too slow", {"body 3": [
        Dribble(IMAP_BODY, 0.5, count=100)]}, 75, "octets of use", arrives={1, 2}, mail=MAIL,
        within=15),
    Bad("time, a message that stops in the middle", {"body 3": [
        body(SLOW, b"%d" % (len(SLOW) + 1), after=b""), Stall()]}, 75, "UID FETCH",
        arrives={1, 2}, mail=MAIL),
    Bad("time, chatter without end in place of a list", {"list": [Dribble(
        endless(CHATTER), 0.2, count=len(CHATTER))]}, CLOSED, within=15),
    Bad("time, much chatter without end in place of a list", {"list": [Dribble(
        endless(CHATTER * 40), 0.2, count=40 * len(CHATTER))]}, CLOSED, within=15),
    Bad("time, much chatter without end in place of a body", {"body 3": [Dribble(
        endless(CHATTER * 40), 0.2, count=40 * len(CHATTER))]}, CLOSED, arrives={1, 2}, within=15),
    Bad("time, bodies of others without end", {"body 3": [Dribble(endless(
        b"* 9 FETCH (UID 999 BODY[] {4000}\r\n" + b"x" * 4000 + b")\r\n"), 0.2, count=8000)]},
        CLOSED, arrives={1, 2}, within=15),
    Bad("time, a slow list that is honest", {"list": [Dribble(b"".join(
        b"* %d FETCH (UID %d FLAGS (%s))\r\n" % (n, n, b"X" * 900) for n in range(1, 6)), 0.5,
        count=400), TAGGED_OK]}, 0, arrives=ALL, within=25),
    Bad("time, a challenge each second", {"AUTHENTICATE": [Dribble(endless(b"+ \r\n"), 1.0, 4)]},
        (75, 76, 77), within=25, again=False),
    Bad("time, a window of zero", {
        "SELECT": ["* %d EXISTS" % MANY, "* OK [UIDVALIDITY 77] x", TAGGED_OK],
        "list": [SCATTERED, TAGGED_OK, Deaf()]}, 75, "the answer to UID FETCH", within=12,
        again=False, seen=("a window of zero",), room=LITTLE),
    Bad("time, the handshake each octet apart", {"STARTTLS": [HONEST, Deaf()]}, 75, "TLS"),
]

POP3 = [
    *steps(("CAPA after", "CAPA", NEVER), ("AUTH", "the answer to AUTH", NEVER),
           ("STAT", "the answer to STAT", NEVER), ("UIDL", "the answer to UIDL", NEVER),
           ("body 3", "the answer to RETR", {1, 2}), ("DELE", "the answer to DELE", ALL),
           ("QUIT", "the answer to QUIT", ALL)),
    *steps(("USER", "the answer to USER", NEVER), ("PASS", "the answer to PASS", NEVER),
           offers="USER|UIDL"),
    Bad("time, an honest message that is slow", {"body 3": [
        "+OK", slowly(SLOW + b".\r\n")]}, 0, arrives={1, 2, 3}, mail=MAIL, within=30),
    Bad("time, an honest message that is too slow", {"body 3": [
        "+OK", Dribble(SLOW + b".\r\n", 0.5, count=100)]}, 75, "octets of use", arrives={1, 2},
        mail=MAIL, within=15),
    Bad("time, a message that stops in the middle", {"body 3": ["+OK", SLOW, Stall()]}, 75,
        "message", arrives={1, 2}, mail=MAIL),
    Bad("time, capabilities without end", {"CAPA after": ["+OK", Dribble(
        endless(b"X-MORE\r\n"), 0.2, count=8)]}, CLOSED, within=15),
    Bad("time, a window of zero", {"UIDL": [HONEST, Deaf()]}, 75, "the answer to RETR",
        within=12, again=False, seen=("a window of zero",), room=LITTLE,
        mail=[b"Subject: %d\r\n\r\nx\r\n" % n for n in range(1000)]),
    Bad("time, much of an endless list", {"UIDL": ["+OK", Dribble(endless(
        b"1 a\r\n" * 1000), 0.2, count=5000)]}, CLOSED, within=15),
]
