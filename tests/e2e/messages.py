"""Sample mail: deterministic, and of every awkward shape that a Maildir can hold.

A message is kept as Maildir keeps it, with lines that end in LF. Its kind names its shape, so that
a test can leave out what an MDA is known to rewrite.
"""
import random

EPOCH = 1_600_000_000

WORDS = ("post", "brief", "Grüße", "naïve", "letter", "Καλημέρα", "harbour", "invoice", "кот",
         "meeting", "shelf", "日本", "anchor", "tide", "rope", "keel", "sail", "haul")


class Message:
    """number: which one it is; kind: its shape; raw: octets with LF; date: seconds since 1970."""

    def __init__(self, number, kind, raw, date):
        self.number, self.kind, self.raw, self.date = number, kind, raw, date


def _text(rnd, lines):
    return "".join(" ".join(rnd.choices(WORDS, k=rnd.randint(0, 12))) + "\n"
                   for _ in range(lines)).encode()


def _head(number, extra=b""):
    return (b"Return-Path: <sender%d@strangers.test>\n"
            b"From: Sender %d <sender%d@strangers.test>\nTo: lee@lab.test\n"
            b"Subject: message %d\nDate: Sun, 13 Sep 2020 12:26:40 +0000\n"
            b"Message-ID: <%d@strangers.test>\n%s\n"
            % (number, number, number, number, number, extra))


def _plain(number, rnd):
    return _head(number) + _text(rnd, 20)


def _latin(number, rnd):
    return _head(number, b"Content-Type: text/plain; charset=iso-8859-1\n"
                 b"Content-Transfer-Encoding: 8bit\n") + \
        bytes(rnd.choice(range(0xa0, 0x100)) for _ in range(60)) + b"\n"


def _dots(number, _rnd):
    return _head(number) + b".\n..\n...\n.leading\n . \n.\n\n.\nend\n.\n"


def _long_line(number, rnd):
    return _head(number) + b"x" * rnd.randint(5000, 20000) + b"\n." + b"y" * 998 + b"\n"


def _from_lines(number, _rnd):
    return _head(number) + b"From here on\n>From there\nFrom mailer@lab.test Sun Sep 13 2020\n\n" \
        b"From \n"


def _no_body(number, _rnd):
    return _head(number)


def _folded(number, rnd):
    return _head(number, b"X-Long: a\n" + b"\tfolded %d\n" % number * 40 +
                 b"References:" + b" <%d@strangers.test>\n" % number * 30) + _text(rnd, 3)


def _many_headers(number, rnd):
    return _head(number, b"".join(b"X-Header-%d: %d\n" % (i, i) for i in range(200))) + \
        _text(rnd, 2)


def _hauled_before(number, rnd):
    return b"Received: from elsewhere by mailhaul; forged\nX-Mailhaul-Id: %032x\n" % number + \
        _head(number) + _text(rnd, 2)


def _lines_of_space(number, _rnd):
    return _head(number) + b"  \n\t\n trailing \nDelivered-To: not a header\n\n\n\n"


def _markup(number, rnd):
    boundary = b"=-%d" % number
    part = b"--%s\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" \
        % boundary
    data = b"".join(b"%s\n" % (b"QUJD" * 18) for _ in range(rnd.randint(5, 60)))
    return _head(number, b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="%s"\n'
                 % boundary) + part + data + b"--%s--\n" % boundary


def _imap_like(number, _rnd):
    return _head(number) + b"* 1 EXISTS\na1 OK done\n)\n* 1 FETCH (BODY[] {3}\n+OK\n-ERR no\n" \
        b"{100}\n* BYE\n"


KINDS = (_plain, _latin, _dots, _long_line, _from_lines, _no_body, _folded, _many_headers,
         _hauled_before, _lines_of_space, _markup, _imap_like)


# Shapes that some MDA rewrites; Maildir takes them octet by octet.
def _no_header_at_all(number, _rnd):
    return b"\nbody of %d, without any header\n" % number


def _few_headers(number, _rnd):
    return b"Subject: hardly a header %d\n\nbody\n" % number


def _not_a_header(number, _rnd):
    return b"this is no header line %d\nnor this\n\nbody\n" % number


def _no_last_newline(number, _rnd):
    return _head(number) + b"the last line of %d has no end" % number


def _stored_crlf(number, _rnd):
    return _head(number).replace(b"\n", b"\r\n") + b"stored\r\nwith CRLF\nand\nLF\r\n"


def _bare_cr(number, _rnd):
    return _head(number) + b"a\rbare\rCR\n\rand\r\r\nmore\n"


def _hostile_sender(number, _rnd):
    return b"Return-Path: <-oQ/tmp/owned %d>\nFrom: -C/etc/passwd\nSubject: %%{sender} $(id) `id`\n" \
        b"\nbody %d\n" % (number, number)


ODD_KINDS = (_no_header_at_all, _few_headers, _not_a_header, _no_last_newline,
             _stored_crlf, _bare_cr, _hostile_sender)


def _make(maker, number, seed):
    raw = maker(number, random.Random(seed * 1_000_003 + number))
    return Message(number, maker.__name__.strip("_"), raw, EPOCH + number * 61)


def sample(count, seed=1, first=1):
    """count messages that every delivery must keep octet by octet."""
    return [_make(KINDS[i % len(KINDS)], first + i, seed) for i in range(count)]


def odd(seed=1, first=900_001):
    """One of each kind that an MDA may rewrite, and that a Maildir must keep."""
    return [_make(maker, first + i, seed) for i, maker in enumerate(ODD_KINDS)]


def uniform(count, octets=4096, first=1):
    """count messages of the same size, for measuring."""
    line = b"The quick brown fox jumps over the lazy dog, and does so again and again.\n"
    messages = []
    for number in range(first, first + count):
        raw = _head(number)
        raw += (line * (octets // len(line) + 1))[:octets - len(raw) - 1] + b"\n"
        messages.append(Message(number, "uniform", raw, EPOCH + number * 61))
    return messages


def large(octets, number=1):
    """One message of about so many octets."""
    line = b"0123456789abcdef" * 4 + b"\n"
    return Message(number, "large", _head(number) + line * (octets // len(line)),
                   EPOCH + number * 61)
