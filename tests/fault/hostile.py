#!/usr/bin/python3
"""mailhaul against servers that lie, dribble, stall, flood and hang up; see cases.py and bad.py.

hostile.py [WORD...] runs the cases whose names hold one of the words.
"""
import base64
import importlib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
sys.dont_write_bytecode = True

import user  # noqa: E402

TIMEOUT = "3s"
MODULES = ("cases_time", "cases", "cases_clear", "cases_tls", "cases_login", "cases_mail",
           "cases_mailboxes", "shown", "scram", "large")
ALLOWED_IN_CLEAR = {"imap": re.compile(rb"(\S+ (CAPABILITY|STARTTLS|LOGOUT)\r\n)*\Z", re.I),
                    "pop3": re.compile(rb"((CAPA|STLS|QUIT)\r\n)*\Z", re.I)}


def secrets(name):
    """The forms in which the password could travel."""
    from lab import SECRET
    secret = SECRET.encode()
    quoted = secret.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return [secret, quoted, base64.b64encode(secret),
            base64.b64encode(b"\0%s\0%s" % (name.encode(), secret))]


def check_nothing_in_clear(server, protocol, name):
    clear = bytes(server.clear).partition(b"\x16\x03")[0]
    assert ALLOWED_IN_CLEAR[protocol].match(clear), "sent in clear: %r" % clear[:300]
    for secret in secrets(name) + [b"AUTHENTICATE", b"LOGIN ", b"PASS ", b"USER ", b"AUTH "]:
        assert secret not in bytes(server.clear), "a secret was sent in clear"


def check_not_sent(server, bad, name):
    for secret in secrets(name) if bad.unsent else ():
        assert secret not in bytes(server.secret), "the password was sent"
    for octets in bad.unsaid:
        assert octets not in bytes(server.secret), "%r was sent" % octets


def check_hidden(home, bad, *results):
    """What came in clear is not shown as a server's word, nor kept."""
    kept = b"".join(open(home.file("state", name), "rb").read()
                    for name in os.listdir(home.file("state"))
                    if os.path.isfile(home.file("state", name)))
    for word in bad.hidden:
        for result in results:
            assert word not in result.out + result.err, "%r was shown: %r" % (word, result)
        assert word.encode() not in kept, "%r was stored" % word


def check_home(home):
    """Nothing was written where no name of the configuration leads."""
    strange = set(os.listdir(home.path)) - {"config.yaml", "state", "Maildir", "Good"}
    assert not strange, "made in the home: %s" % strange


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
    from watched import check_memory
    mail = [messages.Message(number, "given", octets, 0) for number, octets in
            enumerate(bad.mail, 1)] if bad.mail else messages.sample(5)
    wire = bad.mail or [one.raw.replace(b"\n", b"\r\n") for one in mail]
    name = os.path.basename(home.path)
    lab.fill(name + "-good", messages.sample(2, first=701))
    kind = ImapServer if protocol == "imap" else Pop3Server
    with kind(lab.certificates, wire, bad.answers, bad.implicit, bad.offers,
              bad.room) as server:
        tls = {"mode": "implicit" if bad.implicit else "starttls", "ca_file": lab.ca,
               **{key: fill_in(lab.certificates, value) for key, value in bad.tls.items()}}
        tls = {key: value for key, value in tls.items() if value is not None}
        home.configure({
            "hostile": home.account(name, protocol, port=server.port, tls=tls, timeout=TIMEOUT,
                                    **{"keep": False, **bad.keys}),
            "good": home.account(name + "-good", deliver={"maildir": home.file("Good")})})
        result = home.run("-v", "poll", timeout=bad.within)
        assert result.code in bad.code, "expected exit %s: %r" % (bad.code, result)
        assert SECRET not in result.out + result.err, "a secret was printed"
        compare(messages.sample(2, first=701), home.letters("Good"))
        if not bad.implicit:
            check_nothing_in_clear(server, protocol, name)
        check_not_sent(server, bad, name)
        check_words(result, bad)
        if bad.hidden:
            check_hidden(home, bad, result, home.run("status"), home.run("--json", "status"))

        arrived = [letter.message for letter in home.letters()]
        for one in mail:
            got = arrived.count(as_delivered(one))
            assert got <= 1 or bad.twice, "message %d came %d times" % (one.number, got)
            assert one.number not in server.removed or got, \
                "message %d was removed and not delivered" % one.number
        if bad.twice:
            whole = {as_delivered(one) for one in mail}
            assert whole.issuperset(arrived), "something else was delivered"
        if bad.arrives is not None:
            compare([one for one in mail if one.number in bad.arrives], home.letters())
        for step in bad.never:
            assert step not in server.commands, "%s was reached" % step
        for step in bad.seen:
            assert step in server.commands, "%s was not reached" % step
        if "one command at a time" in bad.name:
            assert server.ahead == 0, "%d commands were sent ahead" % server.ahead

        if bad.again:
            server.answers, server.offers = {}, None
            server.commands.clear()
            again = home.run("-v", "poll", "hostile", timeout=30)
            assert again.code == 0, "the honest server afterwards: %r" % again
            compare(mail, home.letters(), doubled=2 * len(mail) if bad.twice else 0)
    check_home(home)
    check_memory(home)


def fill_in(certificates, value):
    """{pin NAME} and {ca NAME}, wherever they stand in a value."""
    if isinstance(value, list):
        return [fill_in(certificates, one) for one in value]
    if not isinstance(value, str):
        return value
    value = re.sub(r"\{pin (.*?)\}", lambda found: certificates.pin(found.group(1)), value)
    return re.sub(r"\{ca (.*?)\}", lambda found: certificates.path(found.group(1)), value)


def make_cases(lab):
    import certificates
    import runner
    from watched import make_watched
    certificates.make_wrong(lab.certificates)
    for module in map(importlib.import_module, MODULES):
        for protocol in ("imap", "pop3"):
            for bad in getattr(module, protocol.upper(), ()):
                runner.CASES.append(runner.Case(
                    "hostile %s, %s" % (protocol, bad.name),
                    lambda lab, home, p=protocol, b=bad: run_case(lab, make_watched(home), p, b),
                    bad.within + 45))


def main():
    user.continue_unprivileged()
    import runner
    runner.main("hostile", make_cases, at_once=24)


if __name__ == "__main__":
    main()
