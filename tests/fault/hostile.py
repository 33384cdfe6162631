#!/usr/bin/python3
"""mailhaul against servers that lie, dribble, stall, flood and hang up; see cases.py.

hostile.py [WORD...] runs the cases whose names hold one of the words.
"""
import base64
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402

TIMEOUT = "3s"
ALLOWED_IN_CLEAR = {"imap": re.compile(rb"(\S+ (CAPABILITY|STARTTLS|LOGOUT)\r\n)*\Z", re.I),
                    "pop3": re.compile(rb"((CAPA|STLS|QUIT)\r\n)*\Z", re.I)}


def secrets(name):
    """The forms in which the password could travel."""
    from lab import SECRET
    plain = b"\0%s\0%s" % (name.encode(), SECRET.encode())
    return [SECRET.encode(), base64.b64encode(SECRET.encode()), base64.b64encode(plain),
            b"AUTHENTICATE", b"LOGIN ", b"PASS ", b"USER ", b"AUTH "]


def check_nothing_in_clear(server, protocol, name):
    clear = bytes(server.clear).partition(b"\x16\x03")[0]
    assert ALLOWED_IN_CLEAR[protocol].match(clear), "sent in clear: %r" % clear[:300]
    for secret in secrets(name):
        assert secret not in bytes(server.clear), "a secret was sent in clear"


def check_words(result, bad):
    for word in bad.words:
        assert word.lower() in result.err.lower(), "%r is not in %r" % (word, result)
    hidden = re.sub(r"[\x20-\x7e\n\t\u00a1-\u1fff]", "", result.err)
    for sign in "\x1b\x07\u202e\u009b\x01\0":
        assert sign not in hidden, "a control character was printed: %r" % result.err
    assert len(result.err) < 200_000, "%d octets of messages" % len(result.err)


def run_case(lab, home, protocol, bad):
    import messages
    from lab import SECRET
    from program import as_delivered, compare
    from server import ImapServer, Pop3Server
    mail = [messages.Message(number, "given", octets, 0) for number, octets in
            enumerate(bad.mail, 1)] if bad.mail else messages.sample(5)
    wire = bad.mail or [one.raw.replace(b"\n", b"\r\n") for one in mail]
    name = os.path.basename(home.path)
    lab.fill(name + "-good", messages.sample(2, first=701))
    kind = ImapServer if protocol == "imap" else Pop3Server
    with kind(lab.certificates, wire, bad.answers, bad.implicit, bad.offers) as server:
        keys = dict(bad.keys)
        tls = {"mode": "implicit" if bad.implicit else "starttls", "ca_file": lab.ca}
        if "min_version" in keys:
            tls["min_version"] = keys.pop("min_version")
        home.configure({
            "hostile": home.account(name, protocol, port=server.port, tls=tls, timeout=TIMEOUT,
                                    keep=False, **keys),
            "good": home.account(name + "-good", deliver={"maildir": home.file("Good")})})
        result = home.run("-v", "poll", timeout=bad.within)
        assert result.code in bad.code, "expected exit %s: %r" % (bad.code, result)
        assert SECRET not in result.out + result.err, "a secret was printed"
        compare(messages.sample(2, first=701), home.letters("Good"))
        if not bad.implicit:
            check_nothing_in_clear(server, protocol, name)
        check_words(result, bad)

        arrived = [letter.message for letter in home.letters()]
        for one in mail:
            got = arrived.count(as_delivered(one))
            assert got <= 1, "message %d came %d times" % (one.number, got)
            assert one.number not in server.removed or got == 1, \
                "message %d was removed and not delivered" % one.number
        if bad.arrives is not None:
            compare([one for one in mail if one.number in bad.arrives], home.letters())
        for step in bad.never:
            assert step not in server.commands, "%s was sent" % step
        if "one command at a time" in bad.name:
            assert server.ahead == 0, "%d commands were sent ahead" % server.ahead

        if bad.again:
            server.answers, server.offers = {}, None
            server.commands.clear()
            again = home.run("-v", "poll", "hostile", timeout=30)
            assert again.code == 0, "the honest server afterwards: %r" % again
            compare(mail, home.letters())


def make_home(lab, one):
    from program import Home
    from runner import CASES
    return Home(lab, lab.file("homes", "hostile-%d" % CASES.index(one)))


def main():
    user.continue_unprivileged()
    import cases
    import runner
    from lab import Lab
    for protocol, several in (("imap", cases.IMAP), ("pop3", cases.POP3)):
        for bad in several:
            runner.CASES.append(runner.Case(
                "hostile %s, %s" % (protocol, bad.name),
                lambda lab, home, p=protocol, b=bad: run_case(lab, home, p, b),
                bad.within + 45))
    runner.interrupt_on_term()
    with Lab() as lab:
        good = runner.run(lab, make_home, sys.argv[1:], at_once=8)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
