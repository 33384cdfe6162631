"""What a case of a hostile server is, and what several of them share."""

CLOSED = (75, 76)
ALL = frozenset(range(1, 6))
NONE = frozenset()


class Bad:
    """answers: by step; code: the exit code, or several; words: what stderr must hold; arrives:
    numbers of the messages that must have arrived (None: any); again: whether an honest server
    brings the rest afterwards, each once; within: seconds; offers: the capabilities inside of TLS;
    mail: octets of the messages; keys and tls: of the account, `{pin NAME}` and `{ca NAME}` stand
    for those of a certificate.

    never: steps that must not be reached; unsent: the password may not even leave encrypted;
    unsaid: octets that may not leave encrypted; hidden: words that must not be shown or stored.

    twice: messages may come twice, since lost would be worse; seen: what the server must have seen;
    room: octets that its system takes in before it reads them."""

    def __init__(self, name, answers, code, words=(), arrives=NONE, keys=None, tls=None,
                 implicit=False, again=True, within=20, offers=None, mail=None, never=(),
                 unsent=False, unsaid=(), hidden=(), twice=False, seen=(), room=None):
        self.name, self.answers = name, answers
        self.arrives = None if arrives is None else frozenset(arrives)
        self.code = code if isinstance(code, tuple) else (code,)
        self.words = (words,) if isinstance(words, str) else words
        self.keys, self.tls = keys or {}, tls or {}
        self.implicit, self.again, self.within = implicit, again, within
        self.offers, self.mail, self.never = offers, mail, never
        self.unsent, self.unsaid, self.hidden = unsent, unsaid, hidden
        self.twice, self.seen, self.room = twice, seen, room


def body(octets, announced=None, before=b"", after=b")\r\n"):
    """A FETCH answer with these octets as its body."""
    count = b"%d" % len(octets) if announced is None else announced
    return b"* {seq} FETCH (" + before + b"UID {uid} BODY[] {" + count + b"}\r\n" + octets + after


WHOLE = b"Subject: lie\r\n\r\nlie\r\n"
TAGGED_OK = "{tag} OK done"
END = b".\r\n"
