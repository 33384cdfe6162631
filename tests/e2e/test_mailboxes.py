"""Several mailboxes of one IMAP account."""
import fcntl
import os
import re
import resource
import shutil
import sqlite3
import sys
import time

import messages
from lab import HOST
from program import compare
from runner import EVERY, case
from test_collect import user_of
from user import TREE

sys.path.append(os.path.join(TREE, "tests", "bench"))
from proxy import Proxy  # noqa: E402

JAPANESE = "Entw\u00fcrfe/\u65e5\u672c\u8a9e"
ON_DISK = "Entw&APw-rfe.&ZeVnLIqe-"


def fill_each(lab, user, folders, count=3):
    """A few messages for each, none twice; by the folder's name on the server's disk."""
    mail = {folder: messages.sample(count, first=1000 * number + 1)
            for number, folder in enumerate(folders, 1)}
    for folder in folders:
        lab.fill(user, mail[folder], None if folder == "INBOX" else folder)
    return mail


def one_each(home, user, mailboxes, **keys):
    """An account that delivers each mailbox into a Maildir of its own below Mail/."""
    home.configure({"box": home.account(user, mailboxes=mailboxes, **{
        "deliver": {"maildir": home.file("Mail/%{mailbox}")}, **keys})})


def maildirs(home):
    return sorted(os.listdir(home.file("Mail"))) if os.path.isdir(home.file("Mail")) else []


def poll_named(home, **how):
    """Tries what waits at once."""
    result = home.run("poll", "box", **how)
    assert result.code == 0, result


def arrive_later(lab, user, mail, folder):
    """Dovecot tells by a directory's time, in seconds, that something was put into it."""
    time.sleep(1.1)
    lab.fill(user, mail, folder)


def said(result, word):
    """The commands of a trace that begin with this word."""
    return re.findall(r"C: a\d+ (%s\b[^\n]*)" % word, result.err)


@case(servers=EVERY, each=[("a Maildir each", "Mail/%{mailbox}"), ("one Maildir", "Mail/all")])
def several_mailboxes(lab, home, _, maildir):
    """In one connection; each into a Maildir of its own if the configuration says so."""
    user = user_of(home)
    names = [None, "Lists.users", "A folder"]
    shown = {name: name.replace(".", "/") if name else "INBOX" for name in names}
    mail = {name: messages.sample(6, first=1000 * number + 1)
            for number, name in enumerate(names, 1)}
    for name in names:
        lab.fill(user, mail[name], name)
    home.configure({"box": home.account(user, mailboxes=list(shown.values()), keep=False,
                                        deliver={"maildir": home.file(maildir)})})
    result = home.poll("--trace")
    assert len(lab.logins(user)) == 1, "more than one login"
    assert len(said(result, "UID EXPUNGE")) == 3
    asked = said(result, "UID SEARCH") + [one for one in said(result, "UID FETCH")
                                          if one.endswith(" (UID)") and "*" not in one]
    assert not asked, "asked whether all is removed that the server expunged: %s" % asked
    for name in names:
        assert not lab.left(user, name)
        if "%" in maildir:
            compare(mail[name], home.letters("Mail/" + shown[name].replace("/", ".")))
    if "%" not in maildir:
        compare([one for some in mail.values() for one in some], home.letters(maildir))
    arrive_later(lab, user, messages.sample(2, first=99001), "Lists.users")
    home.poll()
    assert not lab.left(user, "Lists.users")


@case(servers=EVERY)
def a_mailbox_that_is_not_there(lab, home):
    """It is named, the exit code tells, and the other mailboxes are collected."""
    user = user_of(home)
    mail = messages.sample(3)
    lab.fill(user, mail)
    home.configure({"box": home.account(user, mailboxes=["Nowhere", "INBOX"])})
    result = home.poll("-v", code=75)
    assert "Nowhere" in result.err, result
    compare(mail, home.letters())
    home.poll(code=75)
    compare(mail, home.letters())
    home.configure({"box": home.account(user, mailboxes=["Nowhere", "INBOX", "Neither"])})
    shown = home.run("test")
    assert shown.code == 75 and "mailbox       INBOX: 3 on the server" in shown.out, shown
    for name in ("Nowhere", "Neither"):
        assert "none on the server is meant by " + name in shown.out, shown


@case(each=["written out", "by a pattern"])
def twenty_quiet_mailboxes(lab, home, how):
    """They cost no more flights than INBOX alone, and none is opened."""
    user = user_of(home)
    folders = ["INBOX"] + ["Lists.list %d" % number for number in range(19)]
    mail = fill_each(lab, user, folders, 1)
    written = [folder.replace(".", "/") for folder in folders]
    with Proxy(HOST, lab.ports["imap"], 0.01) as proxy:
        one_each(home, user, ["INBOX"], port=proxy.port)
        home.poll()
        home.poll()
        alone = proxy.flights[-1]
        one_each(home, user, written if how == "written out" else ["INBOX", "Lists/*"],
                 port=proxy.port)
        home.poll()
        for folder in folders:
            compare(mail[folder], home.letters("Mail/" + folder))
        result = home.poll("--trace")
        assert proxy.flights[-1] == alone, "%d flights, alone %d" % (proxy.flights[-1], alone)
        assert not said(result, "EXAMINE") and not said(result, "SELECT"), result
        arrive_later(lab, user, messages.sample(1, first=99001), "Lists.list 7")
        result = home.poll("--trace")
        assert said(result, "EXAMINE") == ['EXAMINE "Lists.list 7"'], said(result, "EXAMINE")
        assert len(home.letters("Mail/Lists.list 7")) == 2


@case()
def patterns(lab, home):
    """"*" goes on below, "%" does not, "!" takes away, and the last match decides."""
    user = user_of(home)
    folders = ["INBOX", "Lists", "Lists.users", "Lists.noise", "Lists.old.good", "Lists.old.bad",
               "Other", "Year.2025", "Year.2026.May"]
    mail = fill_each(lab, user, folders)
    one_each(home, user, ["Lists/*", "!Lists/noise", "!Lists/old/*", "Lists/old/good", "Year/%",
                          "INBOX"])
    home.poll()
    wanted = ["INBOX", "Lists.old.good", "Lists.users", "Year.2025"]
    assert maildirs(home) == wanted, maildirs(home)
    for folder in wanted:
        compare(mail[folder], home.letters("Mail/" + folder))
    assert len(lab.logins(user)) == 1


@case()
def names_that_people_write(lab, home):
    """Written, shown and delivered in UTF-8, whatever the server's encoding is."""
    user = user_of(home)
    mail = fill_each(lab, user, [ON_DISK, "R&-D"])
    one_each(home, user, [JAPANESE, "R&D"])
    shown = home.run("test")
    assert JAPANESE + ": 3 on the server, 3 would be fetched" in shown.out, shown
    home.poll()
    compare(mail[ON_DISK], home.letters("Mail/" + JAPANESE.replace("/", ".")))
    compare(mail["R&-D"], home.letters("Mail/R&D"))
    names = [one["name"] for one in home.run("--json", "test").json[0]["mailboxes"]]
    assert names == [JAPANESE, "R&D"], names
    status = home.run("-v", "status").out
    assert re.search(re.escape(JAPANESE) + r" +3\b", status), status
    status = home.run("--json", "status").json[0]
    assert [(one["name"], one["delivered"]) for one in status["mailboxes"]] == [
        (JAPANESE, 3), ("R&D", 3)], status
    one_each(home, user, ["Entw*"])
    assert not said(home.poll("--trace"), "EXAMINE"), "it is fetched again under the pattern"


@case()
def special_use(lab, home):
    """\\Archive is the mailbox that the server marks so, whatever its name; another is told."""
    user = user_of(home)
    mail = fill_each(lab, user, ["INBOX", "Abgelegt"])
    one_each(home, user, ["\\Archive"])
    home.poll()
    assert maildirs(home) == ["Abgelegt"]
    compare(mail["Abgelegt"], home.letters("Mail/Abgelegt"))
    shown = home.run("test").out
    assert "Abgelegt (\\Archive): 3 on the server, 0 would be fetched" in shown, shown
    one_each(home, user, ["INBOX", "\\Junk"])
    result = home.poll("-v", code=75)
    assert "no mailbox on the server is marked as \\Junk" in result.err, result
    compare(mail["INBOX"], home.letters("Mail/INBOX"))
    one_each(home, user, ["*", "!\\Archive", "!INBOX"])
    assert not said(home.poll("--trace"), "EXAMINE")


@case(each=["written", "as the server has it"])
def below_a_prefix(lab, home, how):
    """The server has INBOX.Lists.users: it is Lists/users for people, and both may be written."""
    user = user_of(home)
    assert "prefix" in user
    mail = fill_each(lab, user, ["INBOX", "Lists.users", ON_DISK])
    written = ["INBOX", "Lists/users", "Entw*"]
    served = ["INBOX", "INBOX.Lists.users", "INBOX.Entw\u00fcrfe.*"]
    one_each(home, user, written if how == "written" else served)
    result = home.poll("--trace")
    assert 'EXAMINE "INBOX.Lists.users"' in said(result, "EXAMINE"), said(result, "EXAMINE")
    compare(mail["INBOX"], home.letters("Mail/INBOX"))
    compare(mail["Lists.users"], home.letters("Mail/Lists.users"))
    compare(mail[ON_DISK], home.letters("Mail/" + JAPANESE.replace("/", ".")))
    shown = home.run("test").out
    assert "mailbox       Lists/users: 3 on the server, 0 would be fetched" in shown, shown
    one_each(home, user, served if how == "written" else written)
    assert not said(home.poll("--trace"), "EXAMINE"), "another form means another mailbox"


@case()
def nothing_matches(lab, home):
    """It is said; it is no failure."""
    user = user_of(home)
    mail = fill_each(lab, user, ["INBOX"])
    one_each(home, user, ["INBOX", "Lits/*", "!Nosie"])
    result = home.poll("-v")
    for item in ("Lits/*", "!Nosie"):
        assert item + ', in "mailboxes", matches no mailbox' in result.err, result
    compare(mail["INBOX"], home.letters("Mail/INBOX"))
    assert home.poll().err == ""
    shown = home.run("test")
    assert shown.code == 0 and "none on the server is meant by Lits/*" in shown.out, shown
    assert home.run("--json", "test").json[0]["unmatched"] == ["Lits/*", "!Nosie"]


@case()
def two_accounts_with_one_mailbox(lab, home):
    """Patterns that overlap are an error that names both; each message comes once."""
    user = user_of(home)
    mail = fill_each(lab, user, ["INBOX", "Lists.users", "Lists.noise"])
    home.configure({"first": home.account(user, mailboxes=["INBOX", "Lists/*"]),
                    "second": home.account(user, mailboxes=["Lists/n*"])})
    for attempt in ("full", "quiet"):
        result = home.poll("-v", code=78)
        named = re.search(r"(first|second): mailbox Lists/noise of \S+ at \S+ is left alone: "
                          r"account \"(first|second)\" collects it, too", result.err)
        assert named and named.group(1) != named.group(2), (attempt, result)
        compare([one for some in mail.values() for one in some], home.letters())
    home.configure({"first": home.account(user, mailboxes=["INBOX", "Lists/*", "!Lists/n*"]),
                    "second": home.account(user, mailboxes=["Lists/n*"])})
    home.poll()
    compare([one for some in mail.values() for one in some], home.letters())


@case()
def a_letter_of_a_mailbox_that_is_gone(lab, home):
    """What waits in the spool is handed over though the server has its mailbox no more."""
    user = user_of(home)
    mail = fill_each(lab, user, ["Lists.users", "Other"])
    os.makedirs(home.file("out"))
    mda = home.script("mda", 'test -e "$HOME/works" || exit 75\n'
                             'cat >"$HOME/out/$1.$(echo "$2" | tr / .)"\n')
    one_each(home, user, ["*"], deliver={"mda": [mda, "%{uid}", "%{mailbox}"]})
    home.poll(code=75)
    shutil.rmtree(lab.mailbox(user, "Lists.users"))
    home.write("works", "")
    poll_named(home)
    names = sorted(os.listdir(home.file("out")))
    assert names == ["%d.%s" % (uid, folder) for uid in (1, 2, 3)
                     for folder in ("Lists.users", "Other")], names
    assert not os.listdir(home.file("state", "spool")) or not any(
        files for _, _, files in os.walk(home.file("state", "spool"))), "the spool is not empty"
    del mail


@case()
def what_an_older_version_knew(lab, home):
    """It knew mailboxes by their names on the wire: nothing is fetched again."""
    user = user_of(home)
    mail = fill_each(lab, user, ["Lists.users"])
    one_each(home, user, ["Lists/users"])
    home.poll()
    with sqlite3.connect(home.file("state", "state.db")) as state:
        changed = state.execute("UPDATE mailbox SET name = 'Lists.users'"
                                " WHERE name = 'Lists/users'").rowcount
    state.close()
    assert changed == 1
    one_each(home, user, ["Lists.users"])
    assert not said(home.poll("--trace"), "EXAMINE"), "it was opened"
    compare(mail["Lists.users"], home.letters("Mail/Lists.users"))
    with sqlite3.connect(home.file("state", "state.db")) as state:
        assert state.execute("SELECT name FROM mailbox").fetchall() == [("Lists/users",)]
    state.close()


@case()
def keep_becomes_false(lab, home):
    """What was delivered is removed from mailboxes in which there is nothing new, too."""
    user = user_of(home)
    folders = ["INBOX", "Lists.users"]
    mail = fill_each(lab, user, folders)
    one_each(home, user, ["*"])
    home.poll()
    one_each(home, user, ["*"], keep=False)
    shown = home.run("test").out
    assert "Lists/users: 3 on the server, 0 would be fetched, 3 would be removed" in shown, shown
    home.poll()
    assert not lab.left(user) and not lab.left(user, "Lists.users")
    assert not said(home.poll("--trace"), "SELECT"), "what is empty is not opened"
    del mail


@case()
def another_mailhaul_has_one_of_them(lab, home):
    """The account is left alone, without a word, until it is free."""
    user = user_of(home)
    mail = fill_each(lab, user, ["INBOX", "Lists.users"])
    one_each(home, user, ["*"])
    home.poll()
    arrive_later(lab, user, messages.sample(1, first=99001), "Lists.users")
    lock = os.open(home.file("state", "locks", "2"), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    result = home.poll()
    assert not result.err, result
    assert "another mailhaul" in home.poll("-v").err
    assert len(home.letters("Mail/Lists.users")) == 3
    os.close(lock)
    home.poll()
    assert len(home.letters("Mail/Lists.users")) == 4
    compare(mail["INBOX"], home.letters("Mail/INBOX"))


@case()
def more_mailboxes_than_files_may_be_open(lab, home):
    """Only a few are open at a time; also when a letter of each waits."""
    user = user_of(home)
    folders = ["Lists.%d" % number for number in range(60)]
    fill_each(lab, user, folders, 1)

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (110, 110))
    one_each(home, user, ["*"])
    home.poll(preexec_fn=few_files)
    assert sum(len(home.letters("Mail/" + folder)) for folder in folders) == 60
    mda = home.script("mda", 'test -e "$HOME/works" || exit 75\ncat >>"$HOME/out"\n')
    for number, folder in enumerate(folders):
        lab.fill(user, messages.sample(1, first=99001 + number), folder)
    one_each(home, user, ["*"], deliver={"mda": [mda]})
    home.poll(code=75, preexec_fn=few_files)
    home.write("works", "")
    poll_named(home, preexec_fn=few_files)
    with open(home.file("out"), "rb") as file:
        assert file.read().count(b"X-Mailhaul-Id:") == 60
    home.poll(preexec_fn=few_files)
