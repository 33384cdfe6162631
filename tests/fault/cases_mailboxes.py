"""Names of mailboxes: what LIST, NAMESPACE and STATUS may say."""
from actions import HONEST, Dribble, Flood, Hangup, Stall, endless
from bad import ALL, CLOSED, TAGGED_OK, Bad

EVERYTHING = {"mailboxes": ["*"]}
GMAIL = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS ID NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE " \
    "X-GM-EXT-1"
# Every mailbox of the server holds the same mail: what is opened besides INBOX comes twice.
IMAP = [
    Bad("Gmail: a pattern leaves out what shows everything again", {"LIST": [
        '* LIST (\\HasNoChildren) "/" "INBOX"', '* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"',
        '* LIST (\\All \\HasNoChildren) "/" "[Gmail]/Alle Nachrichten"',
        '* LIST (\\HasNoChildren \\Important) "/" "[Gmail]/Wichtig"',
        '* LIST (\\Flagged \\HasNoChildren) "/" "[Gmail]/Markiert"', TAGGED_OK]}, 0, arrives=ALL,
        offers=GMAIL, keys=EVERYTHING),
    Bad("LIST: names that are none", {"LIST": [
        '* LIST () "/" "\x1b[31m"', "* LIST () NIL {4}", "a\r\nb", '* LIST () "/" "&AOQ"',
        '* LIST () "/" "&ABs-"', "* LIST () NIL NIL", "* LIST", HONEST]}, 0,
        "is left alone because", arrives=ALL, keys={"mailboxes": ["*", "!NIL"]}),
    Bad("LIST: names that climb stay in their place", {"LIST": [
        '* LIST () "/" "../../climbed"', '* LIST () "/" "/../../climbed"',
        '* LIST () "/" "a/../../../climbed"', '* LIST () "." "...climbed"', '* LIST () "/" ".."',
        TAGGED_OK]}, 0, seen=("SELECT", "body 5"), again=False, keys={
            "mailboxes": ["*"], "keep": True, "deliver": {"maildir": "~/Maildir/%{mailbox}"}}),
    Bad("LIST: NO", {"LIST": ["{tag} NO not now"]}, 75, "not now", keys=EVERYTHING),
    Bad("LIST: BAD", {"LIST": ["{tag} BAD what"]}, 75, "what", keys=EVERYTHING),
    Bad("LIST: silence", {"LIST": [Stall()]}, 75, "list of mailboxes", keys=EVERYTHING),
    Bad("LIST: FIN", {"LIST": ['* LIST () "/" INBOX', Hangup()]}, CLOSED, keys=EVERYTHING),
    Bad("LIST: nothing", {"LIST": [TAGGED_OK]}, 0, "matches no mailbox", keys=EVERYTHING),
    Bad("LIST: a million lines", {"LIST": [b"".join(
        b'* LIST () "/" "box%d"\r\n' % number for number in range(1_000_000)), Stall()]}, 76,
        "more mailboxes", keys=EVERYTHING, within=40),
    Bad("LIST: one line for ever", {"LIST": [Flood(b'* LIST () "/" INBOX\r\n', 100_000_000),
                                            TAGGED_OK]}, (0, 75), arrives=None, keys=EVERYTHING,
        within=60),
    Bad("LIST: dribble without end", {"LIST": [
        Dribble(endless(b'* LIST () "/" INBOX\r\n'), 0.05)]}, CLOSED, keys=EVERYTHING, within=60),
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
