"""The daemon: it visits accounts when they are due, listens in between, and obeys its signals."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fault"))

import lab as laboratory
import messages
from lab import wait_for
from program import BUILD, compare
from runner import Skip, case
from test_collect import one_account, user_of
from world import Clock, Line, MoodyImap

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fault"))
from actions import Ended  # noqa: E402
from server import ImapServer  # noqa: E402


@contextlib.contextmanager
def daemon(home, *args, env=(), code=0):
    """Runs while the block does; TERM ends it, within five seconds and with this code. Gives the
    process; what it said stands in the files daemon.out and daemon.err."""
    with open(home.file("daemon.out"), "ab") as out, open(home.file("daemon.err"), "ab") as err:
        process = home.start(*args, "daemon", env=env, stdout=out, stderr=err)
    try:
        yield process
        assert process.poll() is None, "it ended: " + said(home)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == code, "exit %s: %s" % (process.returncode, said(home))
        assert time.monotonic() - began < 5, "leaving took %.1f s" % (time.monotonic() - began)
    finally:
        laboratory.end_group(process)


def said(home):
    with open(home.file("daemon.err"), errors="replace") as file:
        return file.read()


def arrived(home, count, seconds=10, maildir="Maildir"):
    def there():
        return len(home.letters(maildir)) >= count if os.path.isdir(home.file(maildir)) else count == 0
    wait_for(there, seconds, "fewer than %d letters; it said: %s" % (count, said(home)))


@case(each=["imap", "pop3"])
def daemon_polls_when_due(lab, home, protocol):
    mail = messages.sample(8)
    user = one_account(lab, home, protocol, mail, interval="10s", idle=False)
    with daemon(home):
        arrived(home, 8)
        more = messages.sample(3, first=100)
        lab.fill(user, more)
        arrived(home, 11, 15)
    compare(mail + more, home.letters(), protocol)
    assert not said(home), said(home)


@case()
def daemon_listens(lab, home):
    """New mail comes at once, by the connection that is there."""
    mail = messages.sample(5)
    user = one_account(lab, home, "imap", mail, interval="1h")
    with daemon(home):
        arrived(home, 5)
        for number in range(4):
            time.sleep(0.4)
            more = messages.sample(3, first=100 + 10 * number)
            lab.fill(user, more)
            mail += more
            arrived(home, len(mail), 4)
        assert len(lab.logins(user)) == 1, lab.logins(user)
    compare(mail, home.letters())
    assert not said(home), said(home)


@case()
def daemon_listens_in_several_mailboxes(lab, home):
    mail = {folder: messages.sample(3, first=10 * number)
            for number, folder in enumerate((None, "Lists", "Work"), 1)}
    user = user_of(home)
    for folder, those in mail.items():
        lab.fill(user, those, folder)
    home.configure({"box": home.account(user, mailboxes=["INBOX", "Lists", "Work"], interval="1h",
                                        deliver={"maildir": home.file("Mail-%{mailbox}")})})
    with daemon(home):
        for folder in ("INBOX", "Lists", "Work"):
            arrived(home, 3, maildir="Mail-" + folder)
        wait_for(lambda: len(lab.logins(user)) >= 3, 10, lab.logins(user))
        time.sleep(1)
        for number, (folder, those) in enumerate(mail.items()):
            more = messages.sample(2, first=500 + 10 * number)
            lab.fill(user, more, folder)
            those += more
            arrived(home, 5, 5, "Mail-" + (folder or "INBOX"))
        assert len(lab.logins(user)) == 3, lab.logins(user)
    for folder, those in mail.items():
        compare(those, home.letters("Mail-" + (folder or "INBOX")))
    assert not said(home), said(home)


# ---- signals -----------------------------------------------------------------------------------------

@case()
def daemon_reads_its_configuration_anew(lab, home):
    """HUP: accounts come and go, those that stay the same keep their connections, and a mistake
    leaves all as it was."""
    stays, goes, comes = ("%s-%s" % (user_of(home), part) for part in ("stays", "goes", "comes"))

    def account(user, **keys):
        return home.account(user, interval="1h",
                            deliver={"maildir": home.file("Mail-" + user.rpartition("-")[2])}, **keys)

    for number, user in enumerate((stays, goes, comes)):
        lab.fill(user, messages.sample(2, first=10 * number))
    home.configure({"stays": account(stays), "goes": account(goes)})
    with daemon(home) as process:
        arrived(home, 2, maildir="Mail-stays")
        arrived(home, 2, maildir="Mail-goes")
        home.configure({"stays": account(stays), "goes": account(goes, colour="red")})
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "colour" in said(home), 5, "no word of the mistake")
        lab.fill(goes, messages.sample(1, first=100))
        arrived(home, 3, 5, "Mail-goes")
        home.configure({"stays": account(stays), "comes": account(comes)})
        process.send_signal(signal.SIGHUP)
        arrived(home, 2, 10, "Mail-comes")
        lab.fill(stays, messages.sample(1, first=200))
        lab.fill(goes, messages.sample(1, first=300))
        arrived(home, 3, 5, "Mail-stays")
        time.sleep(1)
        assert len(home.letters("Mail-goes")) == 3, "an account that is gone is still collected"
        home.configure({"stays": account(stays, keep=False), "comes": account(comes)})
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: not lab.left(stays), 10, "keep: false is not in force: %s" % said(home))
    assert len(lab.logins(comes)) == 1 and len(lab.logins(stays)) == 2, \
        (lab.logins(comes), lab.logins(stays))


@case()
def daemon_polls_all_when_asked(lab, home):
    """USR1."""
    user = one_account(lab, home, "pop3", messages.sample(2), interval="1h")
    with daemon(home) as process:
        arrived(home, 2)
        lab.fill(user, messages.sample(2, first=100))
        time.sleep(1)
        assert len(home.letters()) == 2
        process.send_signal(signal.SIGUSR1)
        arrived(home, 4, 5)


@case()
def daemon_is_alone(lab, home):
    """A second one on the same state refuses; one that was killed leaves nothing in the way."""
    user = one_account(lab, home, "imap", messages.sample(1))
    with daemon(home):
        arrived(home, 1)
        second = home.run("daemon", timeout=10)
        assert second.code == 75 and "is at work" in second.err, second
    killed = home.start("daemon")
    lab.fill(user, messages.sample(1, first=10))
    arrived(home, 2)
    killed.kill()
    killed.communicate()
    lab.fill(user, messages.sample(1, first=20))
    with daemon(home):
        arrived(home, 3)


# ---- connections that are lost -----------------------------------------------------------------------

@case()
def daemon_listens_again(lab, home):
    """What the server drops is connected anew at once, and nothing is said of it."""
    user = one_account(lab, home, "imap", messages.sample(2), interval="1h")
    with daemon(home):
        arrived(home, 2)
        time.sleep(1)
        kick(lab, user)
        wait_for(lambda: len(lab.logins(user)) == 2, 10, "not connected anew: %s" % said(home))
        lab.fill(user, messages.sample(1, first=100))
        arrived(home, 3, 5)
    assert not said(home), said(home)


def kick(lab, user):
    """Dovecot ends the user's connections."""
    subprocess.run(["/usr/bin/doveadm", "-c", lab.file("dovecot.conf"), "kick", user], check=True,
                   stdout=subprocess.DEVNULL)


class IdleServer(ImapServer):
    """Offers IDLE, and does with it what real servers do not: see `idling`."""

    ENCRYPTED = ImapServer.ENCRYPTED + " IDLE"

    def __init__(self, lab, mail, idling):
        super().__init__(lab.certificates, [one.raw for one in mail])
        self.idling, self.idles, self.selects = idling, 0, 0

    def add(self, mail):
        for one in mail:
            self.messages[max(self.messages, default=0) + 1] = one.raw

    def on_examine(self, wire, fill, rest):
        self.selects += 1
        super().on_select(wire, fill, rest)

    on_select = on_examine

    def on_idle(self, wire, fill, _rest):
        self.idles += 1
        if self.idling == "refuses":
            wire.send(b"%s NO not now\r\n" % fill["tag"].encode())
            return
        wire.send(b"+ idling\r\n")
        if self.idling == "dies" and self.idles == 1:
            wire.drain()
        if self.idling == "says bye":
            wire.send(b"* BYE so long\r\n")
            raise Ended
        for number in range(1000 if self.idling == "floods" else 0):
            wire.send(b"* %d EXISTS\r\n" % (len(self.messages) + 1 + number))
        assert wire.line().upper() == b"DONE"
        wire.send(b"* %d EXISTS\r\n%s OK done\r\n" % (len(self.messages), fill["tag"].encode()))


@contextlib.contextmanager
def idling(lab, home, how, **keys):
    """A daemon that has collected five messages from such a server."""
    mail = messages.sample(5)
    with IdleServer(lab, mail, how) as server:
        home.configure({"box": home.account("x", port=server.port, interval="10s", timeout="2s", **keys)})
        with daemon(home):
            arrived(home, 5)
            yield server, mail
    compare(mail, home.letters())
    assert not said(home), said(home)


@case(each=["never pushes", "dies", "refuses", "says bye"])
def daemon_collects_though_the_server(lab, home, how):
    """At the account's interval at the latest, with or without IDLE; and what is dead is noticed."""
    with idling(lab, home, how) as (server, mail):
        wait_for(lambda: server.idles, 5, "no IDLE")
        more = messages.sample(2, first=100)
        server.add(more)
        mail += more
        arrived(home, 7, 25)


@case()
def daemon_is_not_driven_by_news(lab, home):
    """A server that tells of mail without end, where there is none, does not keep us busy."""
    with idling(lab, home, "floods") as (server, _):
        time.sleep(6)
        assert server.selects <= 6, "%d visits in six seconds" % server.selects


BACK = """
import socket, subprocess, sys, time
server = socket.create_server(("0.0.0.0", 0))
server.settimeout(12)
config = open("config.yaml").read().replace("PORT", str(server.getsockname()[1]))
open("config.yaml", "w").write(config)
daemon = subprocess.Popen(sys.argv[1:])
time.sleep(2.5)
subprocess.check_call(["ip", "link", "set", "lo", "up"])
began = time.monotonic()
try:
    server.accept()
    print("back after %.1f s" % (time.monotonic() - began))
finally:
    daemon.kill()
"""


@case()
def daemon_is_back_with_the_network(lab, home):
    """What failed for want of network is tried when there is one, not a minute later."""
    if subprocess.run(["unshare", "-Urn", "ip", "link"], capture_output=True).returncode:
        raise Skip("no network namespaces here")
    home.configure({"box": home.account("x", host="127.0.0.1", port="PORT")}, run_as="root")
    home.write("config.yaml", open(home.file("config.yaml")).read().replace('"PORT"', "PORT"))
    home.write("back.py", BACK)
    done = subprocess.run(["unshare", "-Urn", "/usr/bin/python3", home.file("back.py"),
                           *home.argv("daemon")], env=home.env, cwd=home.path, timeout=40,
                          capture_output=True, text=True)
    assert done.stdout.startswith("back after"), (done.stdout, done.stderr)


@case()
def daemon_takes_turns(lab, home):
    """An account with much mail yields to the others after a share, and goes on."""
    many, few = (user_of(home) + part for part in ("-many", "-few"))
    lab.fill(many, messages.sample(5600))
    lab.fill(few, messages.sample(2, first=9000))

    def account(user):
        return home.account(user, interval="1h",
                            deliver={"maildir": home.file("Mail-" + user.rpartition("-")[2])})

    home.configure({"many": account(many), "few": account(few)}, max_connections=1)
    with daemon(home):
        arrived(home, 2, 40, "Mail-few")
        new = home.file("Mail-many", "new")
        had = len(os.listdir(new))
        assert had == 5000, "%d letters came before the others had their turn" % had
        wait_for(lambda: len(os.listdir(new)) == 5600, 20, "it did not go on")
        assert len(lab.logins(many)) == 1, "it connected anew"


# ---- the service manager -----------------------------------------------------------------------------

@case()
def daemon_tells_the_service_manager(lab, home):
    user = one_account(lab, home, "imap", messages.sample(1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(home.file("notify"))
        manager.settimeout(10)
        heard = []

        def hear(word):
            while not any(word in line for line in heard):
                heard.extend(manager.recv(4096).decode().split("\n"))

        with daemon(home, env={"NOTIFY_SOCKET": home.file("notify"),
                               "WATCHDOG_USEC": "600000"}) as process:
            hear("READY=1")
            hear("WATCHDOG=1")
            hear("STATUS=1 account, 1 listening, 0 in backoff")
            heard.clear()
            process.send_signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("MONOTONIC_USEC=")
            hear("READY=1")
            home.configure({"box": home.account(user, password="wrong")})
            process.send_signal(signal.SIGHUP)
            hear("STATUS=1 account, 0 listening, 1 in backoff")
        hear("STOPPING=1")


# ---- servers in a mood -------------------------------------------------------------------------------

@case()
def daemon_polls_again_when_it_cannot_listen(lab, home):
    """While all mailboxes are listened to, they are polled once an hour; not so after that."""
    mail, user, line = messages.sample(2), user_of(home), Line(lab.ports["imap"], 1)
    lab.fill(user, mail)
    home.configure({"box": home.account(user, port=line.port, interval="10s")})
    with daemon(home):
        arrived(home, 2)
        time.sleep(1)
        line.cut(1)
        time.sleep(0.5)
        more = messages.sample(2, first=100)
        lab.fill(user, more)
        arrived(home, 4, 20)
    compare(mail + more, home.letters())


@case(deadline=90)
def daemon_pauses_after_vain_news(lab, home):
    """A server that tells of new mail all the time, though there is none, is not asked all the
    time; when there is some, it comes."""
    mail = messages.sample(3)
    with MoodyImap(lab.certificates, 1) as server:
        server.add(mail)
        server.news = True
        home.configure({"box": home.account("box", port=server.port, interval="1h")})
        with daemon(home):
            arrived(home, 3)
            time.sleep(8)
            visits = server.commands.count("SELECT") + server.commands.count("EXAMINE")
            assert 3 <= visits <= 7, "%d visits" % visits
            server.news = False
            time.sleep(1)
            more = messages.sample(1, first=100)
            server.add(more)
            arrived(home, 4, 15)
    compare(mail + more, home.letters())


@case()
def daemon_keeps_its_connections_when_it_wakes_up(lab, home):
    """They are asked whether they live; the server, which has answered, may be silent then."""
    mail, clock = messages.sample(2), Clock(home.file("clock"), 10)
    env = {"LD_PRELOAD": os.path.join(BUILD, "fault", "fast_clock.so"), "CLOCK_FILE": clock.path,
           "ASAN_OPTIONS": home.env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}
    with MoodyImap(lab.certificates, 1) as server:
        server.add(mail)
        home.configure({"box": home.account("box", port=server.port, interval="1h",
                                            timeout="30s")})
        with daemon(home, "-v", env=env):
            arrived(home, 2)
            wait_for(lambda: "IDLE" in server.commands, 10, server.commands)
            clock.suspend(3600)
            wait_for(lambda: server.commands.count("IDLE") == 2, 10, server.commands)
            time.sleep(5)
            assert "was asleep" in said(home) and "not listen" not in said(home), said(home)
    compare(mail, home.letters())


@case(each=["a letter waits", "a mailbox is missing"])
def daemon_listens_though(lab, home, what):
    """What befalls one message or one mailbox ends no connection, and makes nobody busy."""
    user = user_of(home)
    mail = messages.sample(3)
    lab.fill(user, mail)
    keys = {"interval": "1h", "mailboxes": ["INBOX", "Nowhere"]}
    if what == "a letter waits":
        script = home.script("mda", 'tee "%s" | grep -q "^X-Later: yes" && exit 75\n'
                             'cat "$0.last" >"%s/$(date +%%s.%%N)"\n' % (
                                 home.file("mda.last"), home.file("Maildir", "new")))
        for part in ("new", "cur", "tmp"):
            os.makedirs(home.file("Maildir", part))
        lab.fill(user, [messages.Message(90, "later", b"X-Later: yes\nSubject: later\n\nx\n",
                                        mail[0].date)])
        keys = {"interval": "1h", "deliver": {"mda": [script]}}
    home.configure({"box": home.account(user, **keys)})
    with daemon(home):
        arrived(home, 3)
        time.sleep(1)
        for number in range(2):
            more = messages.sample(1, first=100 + number)
            lab.fill(user, more)
            mail += more
            arrived(home, len(mail), 5)
        time.sleep(1)
        assert len(lab.logins(user)) == 1, lab.logins(user)
