"""What is shown and kept: nothing that steers a terminal, and no secret, whatever a server says."""
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import time

from actions import HONEST, Ask, Echo, Handshake, Hangup, Stall
from lab import NAME, SECRET, wait_for
from runner import case
from server import ImapServer, Pop3Server

CLASSES = {"imap": ImapServer, "pop3": Pop3Server}
MAIL = [b"Subject: a\r\n\r\na\r\n", b"Subject: b\r\n\r\nb\r\n"]
COMMANDS = [("-vv", "--trace", "poll", "box"), ("-v", "--json", "poll", "box"), ("test",),
            ("-vv", "--json", "test"), ("status",), ("--json", "status")]


def one_account(lab, home, server, name, **keys):
    tls = {"ca_file": lab.ca, **keys.pop("tls", {})}
    home.configure({"box": home.account(name, server.protocol, port=server.port, tls=tls,
                                        **{"timeout": "3s", **keys})})


# ---- the terminal --------------------------------------------------------------------------------

STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
                    "\ufeff\ufffd]")
SIGNS = ("\x1b]0;owned\x07", "\x1b[31m", "\x08", "\x7f", "\u009b31m", "\u0085", "\u202e", "\u2066",
         "\u2069", "\u200f", "\u2028", "\u061c", "\ufeff", "\u200b")
EVIL = "".join(SIGNS).encode() + b"\x9b31m\xff\xc0\x80\xed\xa0\x80 mark"
NO, BYE = b"{tag} NO " + EVIL + b"\r\n", b"* BYE " + EVIL + b"\r\n"
ERR = b"-ERR " + EVIL + b"\r\n"
ALERT = b"* OK [ALERT] " + EVIL + b"\r\n"

PLACES = [
    ("imap", "greeting", [b"* BYE " + EVIL + b"\r\n", Hangup()]),
    ("imap", "greeting", [EVIL + b"\r\n", Hangup()]),
    ("imap", "STARTTLS", [NO, Stall()]),
    ("imap", "handshake", [EVIL * 100, Hangup()]),
    ("imap", "CAPABILITY after", [b"* CAPABILITY IMAP4rev1 AUTH=" + EVIL.replace(b" ", b"") + b" "
                                  + EVIL + b"\r\n", b"{tag} OK " + EVIL + b"\r\n"]),
    ("imap", "CAPABILITY after", [b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN X" + EVIL + b"\r\n",
                                  "{tag} OK"]),
    ("imap", "AUTHENTICATE", [ALERT, NO]),
    ("imap", "AUTHENTICATE", [b"{tag} NO [" + EVIL.replace(b"]", b"") + b"] x\r\n"]),
    ("imap", "AUTHENTICATE", [Ask(b"r=x,s=eA==,i=1" + EVIL), NO]),
    ("imap", "AUTHENTICATE", [b"+ " + EVIL + b"\r\n", Stall()]),
    ("imap", "SELECT", [ALERT, NO]),
    ("imap", "SELECT", [BYE, Hangup()]),
    ("imap", "SELECT", [b"* " + EVIL + b" (\r\n",
                        b"* 1 FETCH (X {5}\r\n\x1b\x07\x9b\x00\x01)\r\n", HONEST]),
    ("imap", "list", [ALERT, b"* LIST (" + EVIL + b') "/" {%d}\r\n%s\r\n' % (len(EVIL), EVIL),
                      b'* STATUS "' + EVIL + b'" (UIDNEXT 5)\r\n', HONEST]),
    ("imap", "body 1", [NO]),
    ("imap", "body 1", [b"* 1 FETCH (UID 1 BODY[] {" + EVIL + b"}\r\n", Stall()]),
    ("imap", "STORE", [NO]),
    ("imap", "LOGOUT", [ALERT, NO]),
    ("pop3", "greeting", [ERR, Hangup()]),
    ("pop3", "STLS", [ERR, Stall()]),
    ("pop3", "CAPA after", ["+OK", b"SASL " + EVIL + b"\r\n", b"X" + EVIL + b"\r\n", "."]),
    ("pop3", "AUTH", [b"-ERR [AUTH] " + EVIL + b"\r\n"]),
    ("pop3", "AUTH", [b"+ " + EVIL + b"\r\n", Stall()]),
    ("pop3", "STAT", [ERR]),
    ("pop3", "UIDL", [ERR]),
    ("pop3", "UIDL", ["+OK", b"1 " + EVIL.replace(b" ", b"") + b"\r\n", "."]),
    ("pop3", "body 1", [ERR]),
    ("pop3", "body 1", [b"+OK " + EVIL + b"\r\nSubject: x\r\n\r\nx\r\n.\r\n"]),
    ("pop3", "QUIT", [ERR]),
]
SCRAM = {"imap": "IMAP4rev1 SASL-IR LOGINDISABLED AUTH=SCRAM-SHA-256",
         "pop3": "UIDL|SASL SCRAM-SHA-256"}


def check_harmless(text, what):
    found = STEERS.search(text)
    assert not found, "%s shows %r: %r" % (
        what, found.group(), text[max(0, found.start() - 200):found.end() + 80])


@case(each=[(index, place[0], place[1]) for index, place in enumerate(PLACES)], deadline=90)
def hostile_text_cannot_steer_a_terminal(lab, home, index, protocol, step):
    answers = {step: PLACES[index][2]}
    name = os.path.basename(home.path)
    shown = ""
    offers = SCRAM[protocol] if step in ("AUTHENTICATE", "AUTH") else None
    with CLASSES[protocol](lab.certificates, MAIL, answers, offers=offers) as server:
        one_account(lab, home, server, name, keep=False)
        for command in COMMANDS:
            result = home.run(*command, timeout=20)
            check_harmless(result.out, " ".join(command))
            check_harmless(result.err, " ".join(command))
            if "--json" in command:
                assert isinstance(result.json, list), result
            shown += result.out + result.err
        trace = home.on_terminal("--trace", "poll", "box", timeout=20).out
        for sign in SIGNS[:1] + SIGNS[4:]:
            assert sign not in trace, "a terminal got %r: %r" % (sign, trace)
    for path in files_of(home):
        with open(path, "rb") as file:
            octets = file.read()
        assert b"\x1b]0;owned" not in octets or "/Maildir/" in path, "%s holds it raw" % path
    assert "mark" in shown or step == "handshake", "it was never shown, so nothing was tried"


@case(each=["issuer", "name"])
def hostile_certificate_cannot_steer_a_terminal(lab, home, where):
    answers = {"handshake": [Handshake("steering-" + where)]}
    with ImapServer(lab.certificates, MAIL, answers) as server:
        one_account(lab, home, server, "lee", tls={"server_name": NAME})
        for command in COMMANDS:
            result = home.run(*command, timeout=20)
            check_harmless(result.out + result.err, " ".join(command))
        assert "mark" in home.run("test").out


# ---- secrets -------------------------------------------------------------------------------------

MDA = """cat >>"$HOME/got"
tr '\\0' '\\n' </proc/$PPID/cmdline >>"$HOME/parent"
cat /proc/$PPID/environ >>"$HOME/parent" 2>/dev/null
{ env; tr '\\0' '\\n' </proc/$$/cmdline; } >>"$HOME/child"
"""
CHALLENGE = b"<1896.697170952@lab.test>"
TOKENS = ("XOAUTH2", "OAUTHBEARER")
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "login-command",
              *TOKENS)
TOKEN = "ya29.t0ken-_0123456789abcdef"


def files_of(home):
    return [os.path.join(top, name) for top, _, names in os.walk(home.path) for name in names
            if os.path.isfile(os.path.join(top, name))]


def base64_of(secret):
    """What base64 of any text that holds it must contain."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret)
        yield whole[(before * 8 + 5) // 6:(before + len(secret)) * 8 // 6]


def forms(name, secret):
    text, secret = json.dumps(secret)[1:-1].encode(), secret.encode()
    digest = hmac.new(secret, CHALLENGE, hashlib.md5).hexdigest().encode()
    return [secret, text, *base64_of(secret), digest,
            *base64_of(digest), base64.b64encode(b"\0%s\0%s" % (name.encode(), secret))]


def check_unseen(home, wanted, results):
    places = {" ".join(command): (result.out + result.err).encode()
              for command, result in results}
    for path in files_of(home):
        with open(path, "rb") as file:
            places[path] = file.read()
    for place, octets in places.items():
        for form in wanted:
            at = octets.find(form)
            assert at < 0, "%s holds %r: %r" % (place, form, octets[max(0, at - 200):at + 80])


def echoes(protocol, mechanism, refused):
    """A server that repeats what it was told, in its answer to the login or later on."""
    no, later = ("-ERR ", "body 1") if protocol == "pop3" else ("{tag} NO ", "SELECT")
    alert = [] if protocol == "pop3" else [Echo("* OK [ALERT] ")]
    asks = {"LOGIN": [Ask(b"Username:"), Ask(b"Password:")], "CRAM-MD5": [Ask(CHALLENGE)]}
    steps = ["PASS" if protocol == "pop3" else "LOGIN"] if mechanism == "login-command" else \
        ["AUTH" if protocol == "pop3" else "AUTHENTICATE"]
    if protocol == "pop3":
        asks["XOAUTH2"] = [Ask()]  # said on two lines, as Microsoft wants it
    before = asks.get(mechanism, [])
    if refused:
        return {steps[0]: before + alert + [Echo(no + "[AUTHENTICATIONFAILED] ")]}
    yes = ["+OK"] if protocol == "pop3" else ["{tag} OK"]
    return {steps[0]: before + alert + yes, later: alert + [Echo(no)],
            "LOGOUT": alert + [Echo("* BYE ")], "QUIT": [Echo(no)]}


def offers(protocol, mechanism):
    if mechanism == "login-command":
        return "USER|UIDL" if protocol == "pop3" else "IMAP4rev1 UIDPLUS"
    if protocol == "pop3":
        return "UIDL|SASL " + mechanism
    return "IMAP4rev1 SASL-IR LOGINDISABLED UIDPLUS AUTH=" + mechanism


@case(each=[(protocol, mechanism, refused) for protocol in CLASSES for mechanism in MECHANISMS
            for refused in (True, False)], deadline=90)
def hostile_echo_of_the_password_is_cut(lab, home, protocol, mechanism, refused):
    name = os.path.basename(home.path)
    told = TOKEN if mechanism in TOKENS else SECRET
    secret, results, wanted = lab.file(name + "-secret"), [], forms(name, told)
    with open(secret, "w") as file:
        file.write(told + "\n")
    os.chmod(secret, 0o600)
    by = "token_command" if mechanism in TOKENS else "password_command"
    with CLASSES[protocol](lab.certificates, MAIL, echoes(protocol, mechanism, refused),
                           offers=offers(protocol, mechanism)) as server:
        one_account(lab, home, server, name, auth=mechanism.lower(), password=None,
                    deliver={"mda": [home.script("mda", MDA), "%{user}"]},
                    **{by: ["/bin/cat", secret]})
        for command in COMMANDS + [("-v", "--trace", "poll")]:
            results.append((command, home.run(*command, timeout=20)))
        if "SCRAM" not in mechanism:
            assert any(form in bytes(server.secret) for form in wanted), "it was never told"
            assert any("<cut>" in result.err for _, result in results), results[0]
            assert refused or protocol == "imap" or os.path.exists(home.file("got"))
    check_unseen(home, wanted, results)


@case()
def hostile_login_leaves_no_core(lab, home):
    """While it has the password: no core, and nobody may look into it."""
    with ImapServer(lab.certificates, MAIL, {"AUTHENTICATE": [Stall()]}) as server:
        one_account(lab, home, server, "lee", timeout="20s")
        process = home.start("poll")
        try:
            wait_for(lambda: "AUTHENTICATE" in server.commands, 10, "no login")
            with open("/proc/%d/limits" % process.pid) as file:
                core = next(line for line in file if line.startswith("Max core file size"))
            assert core.split()[4:6] == ["0", "0"], core
            for name in ("environ", "mem", "maps"):
                try:
                    with open("/proc/%d/%s" % (process.pid, name), "rb") as file:
                        file.read(1)
                except PermissionError:
                    continue
                raise AssertionError("/proc/PID/%s can be read" % name)
            process.send_signal(signal.SIGQUIT)
            time.sleep(0.1)
        finally:
            process.kill()
            process.communicate()
    assert not [path for path in files_of(home) if "core" in os.path.basename(path)]
