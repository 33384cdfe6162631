"""Before TLS: whatever an attacker may say there, he gets nothing and is believed nothing."""
from actions import (HONEST, Bytewise, Dribble, Flood, Hangup, Pause, Reset, Stall,
                    endless)
from bad import ALL, CLOSED, TAGGED_OK, WHOLE, Bad

LURE = "call 555-0199"
CLEAR = "* CAPABILITY IMAP4rev1 SASL-IR STARTTLS LOGINDISABLED"
BODY = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n" % (len(WHOLE), WHOLE)
FORGED = (b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\na3 OK done\r\na4 OK logged in\r\n"
          b"* 1 EXISTS\r\n* OK [UIDVALIDITY 77] x\r\na5 OK selected\r\n* 1 FETCH (UID 1)\r\n"
          b"a6 OK done\r\n" + BODY + b"a7 OK done\r\n")
FORGED_POP3 = (b"+OK\r\nUSER\r\nUIDL\r\nSASL PLAIN\r\n.\r\n+OK logged in\r\n+OK 1 30\r\n"
               b"+OK\r\n1 forged\r\n.\r\n+OK\r\n" + WHOLE + b".\r\n")


def behind(verb, ok, forged):
    """What stands behind the OK ends it, whether or not an honest handshake follows."""
    cases = [
        Bad("%s: a whole forged session behind the OK" % verb, {verb: [ok + forged, Stall()]}, 76,
            verb),
        Bad("%s: a forged session, then TLS" % verb, {verb: [ok + forged]}, 76, verb),
        Bad("%s: a forged session in a later segment" % verb, {verb: [ok, Pause(0.1), forged]}, 76,
            ("TLS", "nothing was sent")),
        Bad("%s: OK and more, octet by octet" % verb, {verb: [Bytewise(ok + forged), Stall()]}, 76,
            "nothing was sent"),
        Bad("%s: half a line behind the OK" % verb, {verb: [ok + b"* OK", Stall()]}, 76, verb),
        Bad("%s: an empty line behind the OK" % verb, {verb: [ok + b"\r\n"]}, 76, verb),
        Bad("%s: a NUL behind the OK" % verb, {verb: [ok + b"\0"]}, 76, verb),
        Bad("%s: the OK twice" % verb, {verb: [ok + ok]}, 76, verb),
        Bad("%s: garbage" % verb, {verb: [b"\x80\xff\x00garbage\r\n", Stall()]}, 76),
        Bad("%s: a line without end" % verb, {verb: [Flood(b"x", 20_000_000)]}, 76),
        Bad("%s: RST" % verb, {verb: [Reset()]}, CLOSED),
        Bad("%s: OK and FIN" % verb, {verb: [ok, Hangup()]}, CLOSED, "nothing was sent"),
        Bad("handshake: in clear after a while", {"handshake": [
            Pause(0.3), b"* OK [ALERT] " + LURE.encode() + b"\r\n", Stall()]}, 76,
            "does not answer with TLS", hidden=(LURE,)),
    ]
    return cases


IMAP = behind("STARTTLS", b"{tag} OK begin\r\n", FORGED) + [
    Bad("greeting: 10 MB", {"greeting": [Flood(b"* OK " + b"x" * 65_000, 10_000_000), b"\r\n"]},
        76),
    Bad("greeting: ALERT", {"greeting": ["* OK [ALERT] " + LURE]}, 0, arrives=ALL, hidden=(LURE,)),
    Bad("greeting: REFERRAL in a BYE", {"greeting": [
        "* BYE [REFERRAL imap://evil.test/] " + LURE, Hangup()]}, CLOSED,
        hidden=(LURE, "evil.test")),
    Bad("greeting: PREAUTH with capabilities and a forged session", {"greeting": [
        b"* PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] hi\r\n" + FORGED]}, 76, "PREAUTH"),
    Bad("greeting: OK, then PREAUTH", {"greeting": ["* OK hello", "* PREAUTH welcome"]}, (0, 76),
        arrives=None),
    Bad("greeting: another one behind", {"greeting": ["* OK hello", "* OK hello again"]}, 0,
        arrives=ALL),
    Bad("greeting: tagged", {"greeting": ["a1 OK hello", Stall()]}, 76),
    Bad("greeting: claims AUTH=PLAIN and STARTTLS", {
        "greeting": ["* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=LOGIN] hello"]}, 0,
        arrives=ALL),
    Bad("CAPABILITY: garbage", {"CAPABILITY": [b"\xff\xfe\r\n", Stall()]}, 76),
    Bad("CAPABILITY: BAD", {"CAPABILITY": ["{tag} BAD what", Stall()]}, 76, "nothing was sent"),
    Bad("CAPABILITY: BYE", {"CAPABILITY": ["* BYE away", Hangup()]}, 75, "away"),
    Bad("CAPABILITY: STARTTLS stands in another word", {"CAPABILITY": [
        "* CAPABILITY IMAP4rev1 XSTARTTLS STARTTLSX AUTH=STARTTLS", TAGGED_OK, Stall()]}, 76,
        "nothing was sent"),
    Bad("CAPABILITY: STARTTLS stands in the text alone", {"CAPABILITY": [
        "* CAPABILITY IMAP4rev1", "{tag} OK STARTTLS", Stall()]}, 76, "nothing was sent"),
    Bad("CAPABILITY: a tag that was not sent", {"CAPABILITY": ["a999 OK done", Stall()]}, 76),
    Bad("CAPABILITY: the tag of a later command", {"CAPABILITY": ["a2 OK done", Stall()]}, 76),
    Bad("CAPABILITY: answered twice", {"CAPABILITY": [HONEST, TAGGED_OK, Stall()]}, 76),
    Bad("CAPABILITY: a continuation", {"CAPABILITY": ["+ go on", Stall()]}, 76),
    Bad("CAPABILITY: ALERT and a million lines", {"CAPABILITY": [
        Flood(b"* OK [ALERT] " + LURE.encode() + b"\r\n", 30_000_000), HONEST]}, (0, 75, 76),
        arrives=None, within=40, hidden=(LURE,)),
    Bad("CAPABILITY: ALERT", {"CAPABILITY": ["* OK [ALERT] " + LURE, CLEAR,
                                             "{tag} OK [ALERT] " + LURE]}, 0, arrives=ALL,
        hidden=(LURE,)),
    Bad("CAPABILITY: mailboxes, messages and a referral in clear", {"CAPABILITY": [
        '* LIST () "/" evilbox', "* LSUB () \"/\" evilbox", "* STATUS evilbox (UIDVALIDITY 5)",
        "* 7 EXISTS", "* OK [UIDVALIDITY 666] x", "* OK [UIDNEXT 4294967295] x", BODY,
        "* 1 EXPUNGE", "* SEARCH 1 2 3", "* OK [REFERRAL imap://evil.test/] " + LURE,
        "* NO [REFERRAL imap://evil.test/] " + LURE, HONEST]}, 0, arrives=ALL,
        hidden=(LURE, "evil.test", "evilbox")),
    Bad("STARTTLS: OK with a CAPABILITY code", {
        "STARTTLS": ["{tag} OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] begin"],
        "CAPABILITY after": ["* CAPABILITY IMAP4rev1 LOGINDISABLED", TAGGED_OK]}, (76, 77),
        unsent=True, never=("AUTHENTICATE", "LOGIN")),
    Bad("STARTTLS: NO with a referral", {"STARTTLS": [
        "{tag} NO [REFERRAL imap://evil.test/] " + LURE, Stall()]}, 76, "refused STARTTLS",
        hidden=(LURE, "evil.test")),
    Bad("STARTTLS: NO with an ALERT", {"STARTTLS": ["{tag} NO [ALERT] " + LURE, Stall()]}, 76,
        "refused STARTTLS", hidden=(LURE,)),
    Bad("STARTTLS: what is said in clear is no word of the server's", {"STARTTLS": [
        "{tag} NO not now", Stall()]}, 76, "said in clear, by whoever it was", hidden=("it said",)),
    Bad("STARTTLS: BYE", {"STARTTLS": ["* BYE away", Hangup()]}, 75, "away"),
    Bad("STARTTLS: PREAUTH and OK", {"STARTTLS": ["* PREAUTH welcome", HONEST]}, (0, 76),
        arrives=None),
    Bad("STARTTLS: untagged OK alone", {"STARTTLS": ["* OK begin", Stall()]}, 75, "STARTTLS"),
    Bad("STARTTLS: a continuation", {"STARTTLS": ["+ go on", Stall()]}, 76),
    Bad("STARTTLS: mailbox data and OK", {"STARTTLS": ["* 7 EXISTS", BODY, HONEST]}, 0,
        arrives=ALL),
    Bad("STARTTLS: chatter without end", {"STARTTLS": [Dribble(endless(b"* OK hold on\r\n"), 0.2)]},
        CLOSED, within=20),
    Bad("what was offered in clear is not used inside", {
        "CAPABILITY": ["* CAPABILITY IMAP4rev1 SASL-IR STARTTLS LITERAL+ UIDPLUS AUTH=PLAIN",
                       TAGGED_OK]}, 0, arrives=ALL, offers="IMAP4rev1 AUTH=PLAIN",
        unsaid=(b"AUTHENTICATE PLAIN ", b"+}", b"EXPUNGE")),
    Bad("mechanisms that are offered in clear only", {
        "CAPABILITY": ["* CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN AUTH=SCRAM-SHA-256",
                       TAGGED_OK]}, (76, 77), offers="IMAP4rev1 LOGINDISABLED", again=False,
        unsent=True, never=("AUTHENTICATE", "LOGIN")),
]

POP3 = behind("STLS", b"+OK begin\r\n", FORGED_POP3) + [
    Bad("greeting: 10 MB", {"greeting": [Flood(b"+OK " + b"x" * 65_000, 10_000_000), b"\r\n"]}, 76),
    Bad("greeting: twice", {"greeting": ["+OK hello", "+OK hello"]}, (0, 76), arrives=None),
    Bad("greeting: a continuation", {"greeting": ["+ hello", Stall()]}, 76),
    Bad("greeting: a lure and -ERR", {"greeting": ["-ERR [ALERT] " + LURE, Hangup()]}, CLOSED,
        hidden=(LURE,)),
    Bad("CAPA: garbage", {"CAPA": [b"\xff\xfe\r\n", Stall()]}, 76),
    Bad("CAPA: STLS stands in another word", {"CAPA": ["+OK", "XSTLS", "STLSX", "SASL STLS", ".",
                                                       Stall()]}, 76, "nothing was sent"),
    Bad("CAPA: answered twice", {"CAPA": [HONEST, HONEST, Stall()]}, 76),
    Bad("CAPA: forged answers in front of the honest one", {"CAPA": [FORGED_POP3, HONEST]}, 76),
    Bad("STLS: what is said in clear is no word of the server's", {"STLS": [
        "-ERR not now", Stall()]}, 76, "said in clear, by whoever it was", hidden=("it said",)),
    Bad("STLS: a continuation", {"STLS": ["+ go on", Stall()]}, 76),
    Bad("what was offered in clear is not used inside", {
        "CAPA": ["+OK", "STLS", "USER", "UIDL", "PIPELINING", "SASL PLAIN LOGIN", "."]}, 0,
        arrives=ALL, offers="USER|UIDL", never=("AUTH",)),
    Bad("mechanisms that are offered in clear only", {
        "CAPA": ["+OK", "STLS", "USER", "UIDL", "SASL PLAIN SCRAM-SHA-256", "."]}, (76, 77),
        offers="UIDL", again=False, unsent=True, never=("AUTH", "USER", "PASS")),
]
