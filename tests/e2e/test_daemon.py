"""The daemon: it visits accounts when they are due, listens in between, and obeys its signals."""
import contextlib
import os
import signal
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fault"))

import lab as laboratory
import messages
from lab import wait_for
from program import BUILD, compare
from runner import case
from test_collect import one_account, user_of
from world import Clock, Line, MoodyImap


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
