"""The daemon: it visits accounts when they are due, listens in between, and obeys its signals."""
import contextlib
import os
import signal
import subprocess
import time

import lab as laboratory
import messages
from lab import wait_for
from program import compare
from runner import case
from test_collect import one_account, user_of


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
