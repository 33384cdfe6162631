"""The state was lost: what the Maildir holds makes a new start without duplicates."""
import os
import shutil
import signal

import messages
from program import CRASH_BINARY, compare
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_mailboxes import fill_each, one_each
from test_mda import mda_account
from test_recognise import fetched_whole, said
from test_retention import on_server
from test_state import counts, dump, state


def lose_state(home):
    shutil.rmtree(home.file("state"))


def read_some(home, maildir="Maildir"):
    """A mail reader looked at every other letter, and gave it flags."""
    new, cur = home.file(maildir, "new"), home.file(maildir, "cur")
    for name in sorted(os.listdir(new))[::2]:
        os.rename(os.path.join(new, name), os.path.join(cur, name + ":2,RS"))


def imported(home, *args, **how):
    one, = state(home, "import", "--maildir", "--json", *args, **how).json
    assert one["event"] == "maildir" and one["version"] == 1, one
    return one


@case(each=PROTOCOLS)
def a_new_start(lab, home, protocol):
    """Nothing comes twice, new mail comes, and nothing of what was imported is ever removed."""
    mail, more = messages.sample(30), messages.sample(4, first=3001)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    read_some(home)
    before = sorted(os.listdir(home.file("Maildir", "cur")))
    lose_state(home)
    result = state(home, "import", "--maildir", "box")
    assert "30 letters of mailhaul are there; the state learnt of 30 messages in 1 mailboxes, " \
        "and knew 0 already" in result.out, result
    assert counts(home) == {"skipped": 30}
    lab.fill(user, more)
    home.configure({"box": home.account(user, protocol, keep=False)})
    result = home.poll("--trace")
    said(result, 30, 4)
    assert fetched_whole(result) == 4, "fetched again"
    compare(mail + more, home.letters(), protocol)
    assert sorted(os.listdir(home.file("Maildir", "cur"))) == before, "a letter was touched"
    old = {one.number for one in mail}
    assert on_server(lab, user) == old, "what was imported was removed, or what came stayed"
    assert counts(home)["skipped"] == 30, counts(home)
    result = home.poll("--trace")
    assert fetched_whole(result) == 0
    assert on_server(lab, user) == old


@case(each=PROTOCOLS)
def imported_twice(lab, home, protocol):
    """Once more changes nothing, whether before or after the next poll."""
    mail = messages.sample(12)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    lose_state(home)
    assert imported(home, "box")["added"] == 12
    rows = dump(home)
    one = imported(home, "box")
    assert (one["added"], one["known"]) == (0, 12) and dump(home) == rows, one
    home.poll()
    rows = dump(home)[2]
    assert imported(home, "box")["added"] == 0 and dump(home)[2] == rows
    # A message with the header of one that recognised is another one.
    twin = messages.sample(1)[0]
    twin.number, twin.raw = 4001, twin.raw + b"And more.\r\n"
    lab.fill(user, [twin])
    home.poll()
    compare(mail + [twin], home.letters(), protocol)


@case(each=PROTOCOLS)
def two_thousand(lab, home, protocol):
    mail, more = messages.uniform(2000, 700), messages.uniform(50, 700, first=5001)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    read_some(home)
    lose_state(home)
    assert imported(home, "box")["added"] == 2000
    lab.fill(user, more)
    result = home.poll("--trace")
    said(result, 2000, 50)
    assert fetched_whole(result) == 50
    compare(mail + more, home.letters(), protocol)


@case()
def what_is_passed_over(lab, home):
    """Letters of others, links, and files that nobody can read; a letter that stands there twice."""
    mail = messages.sample(5)
    one_account(lab, home, mail=mail)
    home.poll()
    new = home.file("Maildir", "new")
    first = os.path.join(new, sorted(os.listdir(new))[0])
    shutil.copy(first, home.file("Maildir", "cur", "copy:2,S"))
    home.write("Maildir/cur/foreign", "Message-ID: <1@2>\n\nHello\n")
    home.write("Maildir/cur/forged", "X-Mailhaul-Id: ../../x\nMessage-ID: <1@2>\n\nHello\n")
    home.write("Maildir/cur/nameless", "X-Mailhaul-Id: %s\nSubject: x\n\nHello\n" % ("a" * 32))
    home.write("Maildir/cur/endless", "X: " + "y" * 3000000)
    os.symlink(first, home.file("Maildir", "cur", "link"))
    os.mkfifo(home.file("Maildir", "new", "pipe"))
    os.mkdir(home.file("Maildir", "cur", "directory"))
    lose_state(home)
    one = imported(home, "box")
    assert (one["letters"], one["added"], one["nameless"]) == (6, 5, 1), one
    assert (one["foreign"], one["unreadable"]) == (3, 3), one
    result = state(home, "import", "--maildir", "box")
    assert "3 letters are not of mailhaul" in result.out and "comes again" in result.out, result


@case()
def a_maildir_for_each_mailbox(lab, home):
    """The names of the directories say which mailbox they belong to."""
    folders = ["INBOX", "Lists.noise", "Entw&APw-rfe", "Empty"]
    user = user_of(home)
    mail = fill_each(lab, user, folders[:3])
    lab.fill(user, [], "Empty")
    one_each(home, user, ["*"])
    home.poll()
    os.makedirs(home.file("Mail/%ZZ/cur"))
    read_some(home, "Mail/Lists.noise")
    lose_state(home)
    one = imported(home, "box")
    assert (one["mailboxes"], one["added"]) == (3, 9), one
    more = messages.sample(2, first=9001)
    lab.fill(user, more, "Lists.noise")
    result = home.poll("--trace")
    assert fetched_whole(result) == 2, result
    compare(mail["Lists.noise"] + more, home.letters("Mail/Lists.noise"))
    compare(mail["INBOX"], home.letters("Mail/INBOX"))
    compare(mail["Entw&APw-rfe"], home.letters("Mail/Entw\u00fcrfe"))


@case()
def several_mailboxes_in_one(lab, home):
    """Those that are named learn of all letters; what a pattern means nobody knows here."""
    user = user_of(home)
    mail = fill_each(lab, user, ["INBOX", "Lists"])
    home.configure({"box": home.account(user, mailboxes=["INBOX", "Lists"])})
    home.poll()
    lose_state(home)
    home.configure({"box": home.account(user, mailboxes=["*"])})
    result = state(home, "import", "--maildir", "box", code=64)
    assert "known to the server only" in result.err and "nothing was imported" in result.err
    home.configure({"box": home.account(user, mailboxes=["INBOX", "Lists"])})
    assert imported(home, "box")["mailboxes"] == 2
    result = home.poll("--trace")
    assert fetched_whole(result) == 0
    compare(mail["INBOX"] + mail["Lists"], home.letters())


@case(each=PROTOCOLS)
def moved_letters(lab, home, protocol):
    """Another Maildir, to which a person moved what an account delivered; the state goes on its way
    by an export, too."""
    mail = messages.sample(6)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    os.rename(home.file("Maildir"), home.file("Archive"))
    lose_state(home)
    state(home, "import", "--maildir", "box", code=73)
    assert imported(home, "box", home.file("Archive"))["added"] == 6
    export = home.write("export", state(home, "export").out)
    lose_state(home)
    assert "6 messages" in state(home, "import", export).out
    result = home.poll("--trace")
    assert fetched_whole(result) == 0 and not home.letters()
    assert user and counts(home) == {"skipped": 6}


@case()
def wrong_words(lab, home):
    user = user_of(home)
    home.configure({"box": home.account(user), "mda": mda_account(home, user + "2", "exit 0\n")})
    for args in (("import", "--maildir"), ("import", "--maildir", "a", "b", "c"),
                 ("list", "--maildir")):
        assert "usage: mailhaul state" in state(home, *args, code=64).err
    assert home.run("poll", "--maildir").code == 64
    assert "no account" in state(home, "import", "--maildir", "nobody", code=64).err
    assert "name the Maildir" in state(home, "import", "--maildir", "mda", code=64).err
    assert "is no Maildir" in state(home, "import", "--maildir", "box", "/etc", code=73).err


# ---- damage --------------------------------------------------------------------------------------

def cut_short(path):
    os.truncate(path, os.path.getsize(path) // 2)


def cut_to_nothing(path):
    os.truncate(path, 0)


def zeroed_beginning(path):
    zeroed(path, 0, 1)


def zeroed_rows(path):
    """What stands behind the schema; it opens, and is met while it is read or written."""
    zeroed(path, 6, None)


def zeroed(path, first, count):
    pages = os.path.getsize(path) // 4096
    with open(path, "r+b") as file:
        file.seek(first * 4096)
        file.write(bytes(4096 * (count or pages - first)))


@case(each=[(protocol, damage.__name__) for protocol in PROTOCOLS
            for damage in (cut_short, cut_to_nothing, zeroed_beginning, zeroed_rows)])
def damaged(lab, home, protocol, damage):
    """mailhaul stops, and says what can be done; that done, nothing comes twice."""
    mail, more = messages.sample(60), messages.sample(3, first=3001)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    path = home.file("state", "state.db")
    globals()[damage](path)
    lab.fill(user, more)
    result = home.run("poll", "box")
    assert result.code == 74, result
    assert path in result.err and "damaged" in result.err, result
    assert "mailhaul state reset" in result.err, result
    assert home.run("poll").code == 74
    assert len(home.letters()) == 60 and len(lab.left(user)) == 63
    one, = state(home, "reset", "--json").json
    assert one["event"] == "reset" and one["file"].startswith(path + ".damaged-"), one
    assert os.path.exists(one["file"]) and not os.path.exists(path)
    result = state(home, "import", "--maildir", "box")
    assert "begins anew" in result.err and "learnt of 60 messages" in result.out, result
    result = home.poll("--trace")
    assert fetched_whole(result) == 3
    compare(mail + more, home.letters(), protocol)


@case(each=[1, 2, 3, 4])
def killed_in_a_reset(lab, home, time):
    """Done again, it ends; no log of the old file is taken for one of the new."""
    mail = messages.sample(5)
    user = one_account(lab, home, mail=mail)
    home.binary = CRASH_BINARY
    home.poll()
    lab.fill(user, messages.sample(2, first=3001))
    result = home.run("poll", env={"MAILHAUL_CRASH": "state-after-commit:2"})
    assert result.code == -signal.SIGKILL, result
    path = home.file("state", "state.db")
    assert os.path.getsize(path + "-wal") > 0, "the log is not there"
    zeroed_beginning(path)
    result = home.run("state", "reset", env={"MAILHAUL_CRASH": "state-aside:%d" % time})
    assert result.code == -signal.SIGKILL, result
    state(home, "reset")
    assert not [name for name in os.listdir(home.file("state"))
                if name in ("state.db", "state.db-wal", "state.db-shm")]
    assert imported(home, "box")["letters"] >= 5
    home.poll()
    compare(mail + messages.sample(2, first=3001), home.letters())


@case()
def reset_by_mistake(lab, home):
    """A state that is whole is not thrown away, nor one with which a poll is at work."""
    assert "nothing is remembered yet" in begun(lab, home)
    mail = messages.sample(3)
    lab.fill(user_of(home), mail)
    home.poll()
    result = state(home, "reset", code=64)
    assert "not damaged; nothing was done" in result.err, result
    home.poll()
    compare(mail, home.letters())
    os.rename(home.file("state", "state.db"), home.file("state", "other"))
    os.mkdir(home.file("state", "state.db"))
    for args in (("poll",), ("state", "reset"), ("status",)):
        result = home.run(*args)
        assert result.code == 74 and "not a regular file" in result.err, result


def begun(lab, home):
    one_account(lab, home)
    return state(home, "reset").out


@case()
def gone_without_a_word(lab, home):
    """A state that is missing is told once, for its mail comes again."""
    mail = messages.sample(3)
    one_account(lab, home, mail=mail)
    result = home.run("poll")
    assert result.code == 0 and not result.err, result
    os.remove(home.file("state", "state.db"))
    result = home.run("poll")
    assert result.code == 0 and "is missing, though it was there before" in result.err, result
    result = home.run("poll")
    assert result.code == 0 and not result.err, result
    compare(mail, home.letters(), doubled=3)
