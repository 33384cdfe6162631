"""What strangers write as Return-Path reaches an MDA as one argument that is an address or empty, and
never an option; and real MDAs deliver whatever it was."""
import os
import re

import messages
from program import read_maildir
from runner import case
from test_collect import PROTOCOLS, user_of

LONG = b"a" * 60 + b"@" + b".".join([b"d" * 60] * 4)  # 304 octets

# Return-Path as it stands in the message, and the argument: a path of RFC 5321, or nothing.
SENDERS = [
    (b"<fine@strangers.test>", "fine@strangers.test"),
    (b"<>", ""),
    (b"", ""),
    (b"< >", ""),
    (b"fine@strangers.test", ""),
    (b"<no-domain>", ""),
    (b"<@strangers.test>", ""),
    (b"<a@b@strangers.test>", ""),
    (b"<a b@strangers.test>", ""),
    (b"<\"a b\"@strangers.test>", "\"a b\"@strangers.test"),
    (b"<\"a\\\"b\"@strangers.test>", "\"a\\\"b\"@strangers.test"),
    (b"<\"a\\\\\"@strangers.test>", "\"a\\\\\"@strangers.test"),
    (b"<\"open@strangers.test>", ""),
    (b"<\"-oQ/tmp/x\"@strangers.test>", "\"-oQ/tmp/x\"@strangers.test"),
    (b"<back\\slash@strangers.test>", ""),
    (b"<50%off@strangers.test>", "50%off@strangers.test"),
    (b"<%{user}@strangers.test>", "%{user}@strangers.test"),
    (b"<%s%n%n@strangers.test>", "%s%n%n@strangers.test"),
    (b"<-oQ/tmp/x@strangers.test>", ""),
    (b"-oQ/tmp/x", ""),
    (b"--", ""),
    (b"<-->", ""),
    (b"<gr\xc3\xbc\xc3\x9fe@strangers.test>", ""),
    (b"<gr\xfc\xdfe@strangers.test>", ""),
    (b"<a@str\xc3\xa4nge.test>", ""),
    (b"<" + LONG + b">", ""),
    (b"<" + b"a" * 300 + b"@strangers.test>", ""),
    (b"\n <folded@strangers.test>", "folded@strangers.test"),
    (b"<fol\n\tded@strangers.test>", ""),
    (b"<x@strangers.test> <y@strangers.test>", ""),
    (b"<x@strangers.test>\nReturn-Path: <-second@strangers.test>", "x@strangers.test"),
    (b"<@relay.test,@other.test:a@strangers.test>", "a@strangers.test"),
    (b"<@relay.test:-a@strangers.test>", ""),
    (b"<@-relay:a@strangers.test>", ""),
    (b"<a@[192.0.2.1]>", "a@[192.0.2.1]"),
    (b"<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
    (b"<a@-strangers.test>", ""),
    (b"<a@strangers..test>", ""),
    (b"<a;b@strangers.test>", ""),
    (b"<a|/bin/sh@strangers.test>", "a|/bin/sh@strangers.test"),
    (b"<$(id)@strangers.test>", ""),
    (b"<`id`@strangers.test>", "`id`@strangers.test"),
    (b"<${IFS}@strangers.test>", "${IFS}@strangers.test"),
    (b"<|/bin/sh@strangers.test>", "|/bin/sh@strangers.test"),
    (b"<a'b@strangers.test>", "a'b@strangers.test"),
    (b"<*@strangers.test>", "*@strangers.test"),
    (b"</etc/passwd@strangers.test>", "/etc/passwd@strangers.test"),
    (b"<\"../../etc\"@strangers.test>", "\"../../etc\"@strangers.test"),
    (b"<\x1b[31m@strangers.test>", ""),
    (b"<a\rb@strangers.test>", ""),
    (b"<MAILER-DAEMON@strangers.test> (a comment)", ""),
    (b"<=?utf-8?q?a?=@strangers.test>", "=?utf-8?q?a?=@strangers.test"),
    (b"<#!&*/=?^{}~@strangers.test>", "#!&*/=?^{}~@strangers.test"),
]

MDAS = ("exim", "procmail", "maildrop", "dovecot_lda")


def mail_of_strangers():
    return [messages.Message(
        number, "sender", b"Return-Path: %s\nFrom: <%d@strangers.test>\nSubject: %d\n"
        b"Message-ID: <s%d@strangers.test>\n\nbody\n" % (path, number, number, number),
        messages.EPOCH + number) for number, (path, _) in enumerate(SENDERS, 1)]


def number_of(letter):
    return int(re.search(rb"^Subject: (\d+)$", letter.raw, re.M).group(1))


@case(each=PROTOCOLS)
def one_argument_and_no_option(lab, home, protocol):
    """A program that notes its arguments, whole."""
    os.mkdir(home.file("got"))
    script = home.script("mda", 'n=$(sed -n "s/^Subject: //p")\n'
                         'for a; do printf "%s\\0" "$a"; done >$HOME/got/$n\n')
    user = user_of(home)
    lab.fill(user, mail_of_strangers())
    home.configure({"box": home.account(user, protocol, keep=False, deliver={
        "mda": [script, "-f", "%{sender}", "--from=%{sender}", "--", "lee"]})})
    home.poll()
    for number, (path, want) in enumerate(SENDERS, 1):
        with open(home.file("got", str(number)), "rb") as file:
            words = file.read().decode().split("\0")[:-1]
        assert words == ["-f", want, "--from=" + want, "--", "lee"], "%r became %r" % (path, words)
        assert not want.startswith("-")
    assert not lab.left(user)


# exim takes no address with an IP address for its domain unless it is told to (exit 1).
REFUSED = {"exim": {number for number, (path, _) in enumerate(SENDERS, 1) if b"@[" in path}}


@case(deadline=120, each=[(protocol, mda) for protocol in PROTOCOLS for mda in MDAS])
def real_programs_deliver_it(lab, home, protocol, mda):
    """Every one comes, once; what the program refuses waits, stays on the server, and is said."""
    user, refused = user_of(home), REFUSED.get(mda, set())
    lab.fill(user, mail_of_strangers())
    argv = getattr(lab, mda)(home.path, home.file("Maildir"))
    home.configure({"box": home.account(user, protocol, keep=False, deliver={"mda": argv})})
    result = home.poll("-v", code=75 if refused else 0, timeout=100)
    assert result.err.count("waits in the spool") >= len(refused), result
    letters = read_maildir(home.file("Maildir"))
    came = sorted(number_of(letter) for letter in letters)
    assert came == sorted(set(range(1, len(SENDERS) + 1)) - refused), "came: %s" % came
    assert {letter_on_server(name) for name in lab.left(user)} == refused
    assert not os.path.exists("/tmp/x"), "a stranger's argument was obeyed"
    for letter in letters:
        assert letter.raw.endswith(b"\nbody\n"), letter.raw


def letter_on_server(name):
    return int(name.split(".M")[1].split(".")[0])
