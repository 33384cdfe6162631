"""`mailhaul state`: what is remembered can be looked at, forgotten, moved, carried elsewhere; and
letters come out of the quarantine."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import lab as laboratory
import messages
from program import CRASH_BINARY, Home, compare, read_maildir
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_mailboxes import arrive_later
from test_mda import KEEP, bodies_sent, got, mda_account, spool


def state(home, *args, code=0, **how):
    """`mailhaul state ...`, and the exit code must be this one."""
    result = home.run("state", *args, **how)
    assert result.code == code, "state %s: expected exit %d: %r" % (args, code, result)
    return result


def listed(home, *args, event="mailbox"):
    return [one for one in state(home, "list", "--json", *args).json if one["event"] == event]


def counts(home, *args):
    """The messages in each state that is not empty, over all mailboxes."""
    sums = {}
    for one in listed(home, *args):
        for name, count in one["messages"].items():
            if count:
                sums[name] = sums.get(name, 0) + count
    return sums


def keys_of(home, is_in=3):
    """The keys of the messages in a state, as they stand in the file."""
    with sqlite3.connect(home.file("state", "state.db")) as db:
        return [key for key, in db.execute(
            "SELECT key FROM message WHERE state = ? ORDER BY taken, CAST(key AS INTEGER)",
            (is_in,))]


def fetched(lab, user, count):
    """True if Dovecot sent so many messages in all; it writes its log a moment later."""
    laboratory.wait_for(lambda: bodies_sent(lab, user) >= count, 5)
    return bodies_sent(lab, user) == count


def no_state(home):
    return not os.path.exists(home.file("state", "state.db"))


@case()
def nothing_remembered(lab, home):
    """Looking makes no state, and an empty export is whole."""
    one_account(lab, home, mail=messages.sample(1))
    assert "nothing is remembered yet" in state(home, "list").out
    assert state(home, "list", "--json").out == ""
    assert "nothing" in state(home, "quarantine", "list").out
    assert home.run("status").code == 0
    export = state(home, "export").out
    assert no_state(home), "a state was made"
    home.write("export", export)
    state(home, "import", home.file("export"))
    state(home, "forget", "box", "--all", code=64)


@case()
def command_lines(lab, home):
    """What is wrong is said with the usage, and nothing is done."""
    one_account(lab, home)
    for args in ((), ("quarantine",), ("lst",), ("quarantine", "x"), ("forget",), ("move", "box"),
                 ("import", "a", "b"), ("list", "--all"), ("quarantine", "drop")):
        result = state(home, *args, code=64)
        assert "usage: mailhaul state" in result.err and "mark-all-fetched" in result.err, result
    for args in (("list", "nobody"), ("forget", "nobody@nowhere", "--all"), ("forget", "box"),
                 ("move", "a@b", "nobody"), ("export", "nobody"), ("quarantine", "drop", "box")):
        result = state(home, *args, code=64)
        assert result.err and "usage:" not in result.err, result
    assert home.run("poll", "--all").code == 64


@case(each=PROTOCOLS)
def a_list(lab, home, protocol):
    mail = messages.sample(5)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    result = state(home, "list")
    assert "box (%s, %s@%s)" % (protocol, user, laboratory.HOST) in result.out, result
    assert "INBOX" in result.out and "5 delivered" in result.out, result
    one, = listed(home)
    assert one["version"] == 1 and one["configured"] and one["account"] == "box"
    assert one["messages"]["delivered"] == 5 and one["last_success"], one
    if protocol == "imap":
        assert one["validity"] and one["next"] == 6
        assert "all below UID 6" in state(home, "list", "-v", "box").out
    # Of an account that the configuration does not have any more.
    home.configure({"other": home.account("nobody")})
    name = "%s:%s@%s" % (protocol, user, laboratory.HOST)
    result = state(home, "list")
    assert "%s, not in the configuration" % name in result.out, result
    assert "other: nothing is remembered yet" in result.out, result
    one, = listed(home, name)
    assert one["account"] == name and not one["configured"], one
    assert not listed(home, "other")
    state(home, "forget", name, "--all")
    assert not listed(home), "the remains are still there"


@case()
def two_accounts_of_one_login(lab, home):
    """Each has its own mailboxes, in the list, in status, and where they are forgotten."""
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    lab.fill(user, messages.sample(3, first=101), "Lists")
    home.configure({"box": home.account(user),
                    "lists": home.account(user, mailboxes=["Lists"])})
    home.poll()
    assert counts(home, "box") == {"delivered": 2} and counts(home, "lists") == {"delivered": 3}
    assert [one["delivered"] for one in home.run("status", "--json").json] == [2, 3]
    state(home, "forget", "lists", "--all")
    assert counts(home) == {"delivered": 2}


@case(each=PROTOCOLS)
def forget_messages(lab, home, protocol):
    """Exactly the forgotten ones are fetched again, once."""
    mail = messages.sample(8)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    keys = keys_of(home)
    result = state(home, "forget", "box", "INBOX", keys[2], keys[5])
    assert "2 messages forgotten" in result.out, result
    home.poll()
    compare(mail + [mail[2], mail[5]], home.letters(), protocol)
    home.poll()
    assert len(home.letters()) == 10 and fetched(lab, user, 10), "fetched more than once"
    assert counts(home)["delivered"] == 8
    state(home, "forget", "box", "INBOX", "99999", code=64)
    state(home, "forget", "box", "INBOX", keys[0], "x" * 40, code=64)
    state(home, "forget", "box", "Nowhere", keys[0], code=64)
    home.poll()
    assert len(home.letters()) == 10, "a refused command forgot something"


@case(each=PROTOCOLS)
def forget_all(lab, home, protocol):
    mail = messages.sample(4)
    one_account(lab, home, protocol, mail)
    home.poll()
    assert "4 messages forgotten" in state(home, "forget", "box", "--all").out
    home.poll()
    compare(mail + mail, home.letters(), protocol)
    home.poll()
    assert len(home.letters()) == 8


@case()
def forget_where_rows_are_missing(lab, home):
    """What has no row below "next" (it was passed over) is not fetched by forgetting another."""
    mail = messages.sample(6)
    one_account(lab, home, mail=mail)
    home.poll()
    with sqlite3.connect(home.file("state", "state.db")) as db:
        db.execute("DELETE FROM message WHERE key IN ('3', '4', '5')")
    state(home, "forget", "box", "INBOX", "2", "4")
    home.poll()
    compare(mail + [mail[1], mail[3]], home.letters())


@case()
def forget_what_waits(lab, home):
    """A letter in the spool stays remembered, and is delivered once."""
    mail = messages.sample(3)
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": mda_account(home, user, "cat >/dev/null; exit 75\n")})
    home.poll(code=75)
    key = keys_of(home, 6)[0]
    result = state(home, "forget", "box", "INBOX", key, code=64)
    assert "not delivered yet" in result.err, result
    result = state(home, "forget", "box", "--all")
    assert "0 messages forgotten; 3 with a letter" in result.out, result
    home.configure({"box": mda_account(home, user, KEEP)})
    assert home.run("poll", "box").code == 0
    home.poll()
    assert sorted(got(home)) == sorted(one.raw for one in mail), "lost or doubled"


@case(each=PROTOCOLS)
def move_host(lab, home, protocol):
    """The server has another name: nothing is fetched again, and keep: false still removes."""
    mail = messages.sample(5)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    new = home.account(user, protocol, host=laboratory.HOST_EXPIRING, keep=False)
    old = "%s@%s" % (user, laboratory.HOST)
    result = state(home, "move", old, "box", code=64)
    assert "box itself" in result.err, result
    home.configure({"box": new, "former": home.account(user, protocol)})
    assert "former" in state(home, "move", old, "box", code=64).err
    home.configure({"box": new})
    result = state(home, "move", old, "box")
    assert old in result.out and "box" in result.out, result
    more = messages.sample(2, first=101)
    lab.fill(user, more)
    home.run("poll")
    compare(mail + more, home.letters(), protocol)
    assert not lab.left(user), "what was delivered under the old name is not removed"
    assert fetched(lab, user, 7), "fetched again"
    one, = listed(home)
    assert one["host"] == laboratory.HOST_EXPIRING
    state(home, "move", old, "box", code=64)


@case()
def move_onto_something(lab, home):
    """Where the new name knows something already, nothing is thrown away."""
    mail = messages.sample(3)
    user = one_account(lab, home, mail=mail)
    home.poll()
    new = home.account(user, host=laboratory.HOST_EXPIRING)
    home.configure({"box": new, "former": home.account(user)})
    home.run("poll")
    home.configure({"box": new})
    result = state(home, "move", "%s@%s" % (user, laboratory.HOST), "box", code=64)
    assert "forget" in result.err, result
    assert len(listed(home)) == 2
    state(home, "forget", "box", "--all")
    state(home, "move", "%s@%s" % (user, laboratory.HOST), "box")
    assert len(listed(home)) == 1 and counts(home) == {"delivered": 3}


@case()
def move_mailbox(lab, home):
    """A mailbox was renamed on the server."""
    mail = messages.sample(4)
    user = user_of(home)
    lab.fill(user, mail, "Old")
    home.configure({"box": home.account(user, mailboxes=["Old"])})
    home.poll()
    os.rename(lab.mailbox(user, "Old"), lab.mailbox(user, "New"))
    home.configure({"box": home.account(user, mailboxes=["New"])})
    state(home, "move", "box", "Old", "New")
    home.poll()
    compare(mail, home.letters())
    assert [one["mailbox"] for one in listed(home)] == ["New"]
    state(home, "move", "box", "Old", "Newer", code=64)
    state(home, "move", "box", "New", "New", code=64)


@case(each=PROTOCOLS)
def mark_all_fetched(lab, home, protocol):
    """What is there now is neither fetched nor removed; what comes later is."""
    mail = messages.sample(6)
    user = one_account(lab, home, protocol, mail, keep=False)
    result = state(home, "mark-all-fetched", "box")
    assert "box: 6 messages on the server count as fetched now" in result.out, result
    home.poll()
    assert not home.letters() and len(lab.left(user)) == 6
    assert fetched(lab, user, 0), "fetched"
    more = messages.sample(2, first=101)
    lab.fill(user, more)
    home.poll()
    compare(more, home.letters(), protocol)
    assert len(lab.left(user)) == 6, "removed what was marked"
    one, = state(home, "mark-all-fetched", "--json").json
    assert (one["event"], one["account"], one["marked"]) == ("mark", "box", 0), one
    # Of what was marked, one is fetched after all.
    key = keys_of(home, 5)[1] if protocol == "pop3" else "2"
    state(home, "forget", "box", "INBOX", key)
    home.poll()
    assert len(home.letters()) == 3 and len(lab.left(user)) == 5


@case()
def mark_all_fetched_of_patterns(lab, home):
    """Every mailbox that is meant, and no other: those that appear later are collected whole."""
    user = user_of(home)
    mail = {name: messages.sample(3, first=100 * number)
            for number, name in enumerate(("INBOX", "Lists.users", "Lists.noise", "Other"), 1)}
    for name, those in mail.items():
        lab.fill(user, those, None if name == "INBOX" else name)
    keys = {"keep": False, "deliver": {"maildir": home.file("Mail/%{mailbox}")}}
    home.configure({"box": home.account(
        user, mailboxes=["INBOX", "Lists/*", "!Lists/noise"], **keys)})
    result = state(home, "mark-all-fetched")
    assert "box: 6 messages on the server count as fetched now" in result.out, result
    assert not os.path.exists(home.file("Mail")), "a Maildir was made"
    shown = home.run("test").out
    for name in ("INBOX", "Lists/users"):
        assert name + ": 3 on the server, 0 would be fetched, 0 would be removed" in shown, shown
    more = messages.sample(2, first=901)
    arrive_later(lab, user, more[:1], "Lists.users")
    lab.fill(user, more[1:], "Lists.new")
    home.poll()
    compare(more[:1], home.letters("Mail/Lists.users"))
    compare(more[1:], home.letters("Mail/Lists.new"))
    assert sorted(os.listdir(home.file("Mail"))) == ["Lists.new", "Lists.users"]
    # What was not meant was not marked.
    home.configure({"box": home.account(user, mailboxes=["*"], **keys)})
    home.poll()
    compare(mail["Lists.noise"], home.letters("Mail/Lists.noise"))
    compare(mail["Other"], home.letters("Mail/Other"))
    assert len(lab.left(user)) == len(lab.left(user, "Lists.users")) == 3, "removed what was marked"
    assert not home.letters("Mail/INBOX")
    assert fetched(lab, user, 8), "fetched"


@case()
def mark_all_fetched_fails(lab, home):
    """What goes wrong is told, and nothing is marked."""
    mail = messages.sample(2)
    user = one_account(lab, home, mail=mail, password="wrong")
    result = state(home, "mark-all-fetched", code=77)
    assert "box: " in result.err, result
    home.configure({"box": home.account(user)})
    assert home.run("poll", "box").code == 0
    compare(mail, home.letters())


# ---- export and import ---------------------------------------------------------------------------

def elsewhere(lab, home, **keys):
    """Another machine: a home with nothing remembered, and the same account."""
    other = Home(lab, home.file("elsewhere"))
    user = user_of(home)
    protocol = keys.pop("protocol", "imap")
    other.configure({"box": other.account(user, protocol, **keys)})
    return other


def dump(home):
    with sqlite3.connect(home.file("state", "state.db")) as db:
        return [list(db.execute("SELECT * FROM %s" % table)) for table in
                ("account", "mailbox", "message")]


@case(each=PROTOCOLS)
def to_another_machine(lab, home, protocol):
    """Nothing is fetched again there, and what was delivered here may be removed there."""
    mail = messages.sample(20)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    lines = state(home, "export").out.splitlines()
    assert json.loads(lines[0])["mailhaul_state"] == 1 and len(lines) == 23
    other = elsewhere(lab, home, protocol=protocol, keep=False)
    exporting = home.start("state", "export")
    result = state(other, "import", stdin=exporting.stdout)
    assert exporting.wait() == 0
    assert "20 messages in 1 mailboxes; 0 of them" in result.out, result
    more = messages.sample(3, first=901)
    lab.fill(user, more)
    other.poll()
    compare(more, other.letters(), protocol)
    assert not lab.left(user), "what was imported as delivered was not removed"
    assert fetched(lab, user, 23), "fetched again"


@case()
def import_twice(lab, home):
    """What is known already stays as it is; so does a state from which an export comes."""
    one_account(lab, home, mail=messages.sample(6))
    home.poll()
    path = home.write("export", state(home, "export").out)
    before = dump(home)
    result = state(home, "import", path)
    assert "6 of them were known already" in result.out, result
    assert dump(home) == before
    other = elsewhere(lab, home)
    state(other, "import", path)
    before = dump(other)
    assert "6 of them were known" in state(other, "import", path).out
    assert dump(other) == before
    assert dump(other)[2] == [row[:8] + ("",) + row[9:] for row in dump(home)[2]]


@case()
def import_of_last_week(lab, home):
    """An old export takes nothing back: what is known here stays known."""
    user = one_account(lab, home, mail=messages.sample(4))
    home.poll()
    old = home.write("export", state(home, "export").out)
    lab.fill(user, messages.sample(4, first=101))
    home.poll()
    state(home, "import", old)
    home.poll()
    assert len(home.letters()) == 8 and counts(home) == {"delivered": 8}
    other = elsewhere(lab, home)
    state(other, "import", old)
    other.poll()
    compare(messages.sample(4, first=101), other.letters())


@case()
def with_the_maildir(lab, home):
    """The Maildir moves too, under another path: it is taken as it is."""
    mail = messages.sample(3)
    user = one_account(lab, home, mail=mail)
    home.poll()
    other = elsewhere(lab, home)
    shutil.copytree(home.file("Maildir"), other.file("Maildir"))
    state(other, "import", home.write("export", state(home, "export").out))
    more = messages.sample(2, first=101)
    lab.fill(user, more)
    other.poll()
    compare(mail + more, other.letters())


@case()
def another_validity(lab, home):
    """What is known under another UIDVALIDITY recognises the messages; it moves no "next"."""
    mail = messages.sample(5)
    one_account(lab, home, mail=mail)
    home.poll()
    one, = listed(home)
    export = state(home, "export").out.replace(
        '"validity":%d' % one["validity"], '"validity":%d' % (one["validity"] + 1))
    path = home.write("export", export)
    result = state(home, "import", path)
    assert "0 of them were known" in result.out, result
    again, = listed(home)
    assert (again["validity"], again["next"]) == (one["validity"], one["next"])
    assert again["messages"]["delivered"] == 10
    home.poll()
    assert len(home.letters()) == 5
    # Elsewhere the server numbers them otherwise than the export says.
    other = elsewhere(lab, home)
    state(other, "import", path)
    other.poll()
    assert not other.letters(), "delivered again"


@case(each=["state-before-commit", "state-after-commit"])
def killed_in_an_import(lab, home, point):
    """All or nothing."""
    one_account(lab, home, mail=messages.sample(3))
    home.poll()
    path = home.write("export", state(home, "export").out)
    other = elsewhere(lab, home)
    other.binary = CRASH_BINARY
    result = other.run("state", "import", path, env={"MAILHAUL_CRASH": point})
    assert result.code == -signal.SIGKILL, result
    assert len(dump(other)[2]) == (3 if point == "state-after-commit" else 0)
    state(other, "import", path)
    other.poll()
    assert not other.letters()


@case()
def what_waited_is_fetched_again(lab, home):
    """Its letter does not travel; what is in the quarantine stays known."""
    mail = messages.sample(6)
    user = user_of(home)
    lab.fill(user, mail)
    script = "cat >$HOME/now; grep -q '^Subject: message [34]$' $HOME/now && exit 75\n" \
        "grep -q '^Subject: message 5$' $HOME/now && exit 65; exit 0\n"
    home.configure({"box": mda_account(home, user, script, max_attempts=1)})
    home.poll(code=65)
    path = home.write("export", state(home, "export").out)
    other = elsewhere(lab, home)
    result = state(other, "import", path)
    assert "2 more waited there for their delivery, and are fetched again" in result.out, result
    assert counts(other) == {"delivered": 3, "quarantined": 1}
    other.poll()
    compare(mail[2:4], other.letters())
    assert "not in the quarantine here" in state(other, "quarantine", "list").out
    state(other, "quarantine", "retry", "box", "--all", code=64)
    state(other, "quarantine", "drop", "box", "--all")
    assert counts(other) == {"delivered": 5, "skipped": 1}


def damaged(lines):
    """Damaged exports: what each is, its lines, and what is said of it."""
    whole = [json.loads(line) for line in lines]

    def changed(at, **fields):
        return lines[:at] + [json.dumps({**whole[at], **fields})] + lines[at + 1:]

    def without(at, field):
        return lines[:at] + [json.dumps({key: value for key, value in whole[at].items()
                                         if key != field})] + lines[at + 1:]
    return [
        ("no last line", lines[:-1], "cut off"),
        ("half a line", lines[:-2] + [lines[-2][:20]], "line %d" % (len(lines) - 1)),
        ("nothing", [], "cut off"),
        ("another form", changed(0, mailhaul_state=2), "line 1: it is an export of another"),
        ("a line is missing", lines[:3] + lines[4:], "its last line says"),
        ("no export", ["hello"], "line 1: it is no JSON"),
        ("another JSON", ['{"version":1}'], "line 1"),
        ("no head", lines[1:], "line 1"),
        ("two exports", lines + lines, "another export begins"),
        ("more behind the end", lines + [lines[2]], "something follows"),
        ("no key", without(3, "message"), "line 4"),
        ("no state", without(3, "state"), 'line 4: "state" is missing'),
        ("a strange state", changed(3, state="lost"), 'line 4: "state"'),
        ("a large number", changed(3, validity=1 << 32), 'line 4: "validity" is out of range'),
        ("a negative one", changed(1, next=-1), 'line 2: "next" is out of range'),
        ("a control character", changed(3, mark="a\x1b[2J"), 'line 4: "mark" has a control'),
        ("a path", changed(3, letter="../../x"), 'line 4: "letter"'),
        ("no UID", changed(3, message="x"), 'line 4: "message" is no UID'),
        ("a long line", changed(3, mark="m" * 70000), "line 4: the line is too long"),
        ("a strange protocol", changed(1, protocol="smtp"), 'line 2: "protocol"'),
        ("a mailbox twice", lines[:2] + lines[1:], "twice"),
    ]


@case()
def a_damaged_export(lab, home):
    """The line is named, and nothing is changed."""
    one_account(lab, home, mail=messages.sample(4))
    home.poll()
    lines = state(home, "export").out.splitlines()
    other = elsewhere(lab, home)
    state(other, "list")
    for name, bad, why in damaged(lines):
        path = home.write("bad", "".join(line + "\n" for line in bad))
        result = state(other, "import", path, code=74)
        assert why in result.err and "nothing was imported" in result.err, (name, result)
        assert "\x1b" not in result.err, name
        assert dump(other) == [[], [], []], "%s changed something" % name
    for name in (home.file("none"), home.path):
        state(other, "import", name, code=74)
    state(home, "export", code=74, stdout=open("/dev/full", "w"))


@case()
def names_that_are_odd(lab, home):
    """An account that the configuration does not have travels and is told of, and so are names
    beyond ASCII."""
    one_account(lab, home, mail=messages.sample(2))
    home.poll()
    with sqlite3.connect(home.file("state", "state.db")) as db:
        db.execute("UPDATE mailbox SET name = 'Entwürfe/\"日本\"'")
    path = home.write("export", state(home, "export", "box").out)
    other = elsewhere(lab, home)
    other.configure({"box": other.account("somebody-else")})
    assert "1 of the mailboxes belong to no account" in state(other, "import", path).out
    one, = listed(other)
    assert one["mailbox"] == 'Entwürfe/"日本"' and not one["configured"]


# ---- the quarantine ------------------------------------------------------------------------------

REFUSE = "cat >/dev/null; exit 65\n"


def refused(lab, home, mail, protocol="imap", **keys):
    """These messages in the quarantine; the MDA accepts from now on."""
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": mda_account(home, user, REFUSE, protocol, max_attempts=1, **keys)})
    home.poll(code=65)
    home.configure({"box": mda_account(home, user, KEEP, protocol, max_attempts=1, **keys)})
    return user


@case(each=PROTOCOLS)
def quarantine(lab, home, protocol):
    """It is listed, tried again, dropped; what was delivered in the end is removed, no other."""
    mail = messages.sample(3)
    user = refused(lab, home, mail, protocol, keep=False)
    found = state(home, "quarantine", "list", "--json").json
    assert len(found) == 3 and {one["account"] for one in found} == {"box"}
    assert sorted(one["subject"] for one in found) == ["message %d" % i for i in (1, 2, 3)]
    for one in found:
        assert os.path.exists(one["file"]) and "strangers.test" in one["from"]
    text = state(home, "quarantine", "list", "box").out
    assert "subject   message 1" in text and found[0]["file"] in text
    home.poll()
    assert len(spool(home)) == 0 and len(got(home)) == 0, "tried again unasked"

    # A mail reader has been at the letters.
    letter = found[0]["file"]
    os.rename(letter, letter.replace("/new/", "/cur/") + ":2,S")
    first = int(found[0]["subject"].split()[1]) - 1
    result = state(home, "quarantine", "retry", "box", found[0]["key"])
    assert "1 letter in the spool again" in result.out, result
    assert len(spool(home)) == 1
    home.poll()
    assert got(home) == [mail[first].raw] and not spool(home)
    state(home, "forget", "box", "INBOX", found[1]["key"], code=64)
    result = state(home, "quarantine", "drop", "box", found[1]["key"])
    assert not os.path.exists(found[1]["file"])
    state(home, "quarantine", "drop", "box", found[1]["key"], code=64)
    home.poll()
    home.poll()
    assert len(lab.left(user)) == 2, "removed, and not delivered; or not removed"
    assert fetched(lab, user, 3), "fetched again"
    assert len(read_maildir(home.file("state", "quarantine"))) == 1
    state(home, "quarantine", "retry", "box", "--all")
    home.poll()
    home.poll()
    assert len(got(home)) == 2 and len(lab.left(user)) == 1
    assert "nothing is in the quarantine" in state(home, "quarantine", "list").out


@case()
def quarantine_into_a_maildir(lab, home):
    """An account that has no MDA any more: the way is told, and it leads to the message."""
    mail = messages.sample(1)
    user = refused(lab, home, mail)
    home.configure({"box": home.account(user)})
    result = state(home, "quarantine", "retry", "box", "--all", code=64)
    assert "Drop" in result.err and "forget" in result.err, result
    assert len(read_maildir(home.file("state", "quarantine"))) == 1
    state(home, "quarantine", "drop", "box", "INBOX/1")
    state(home, "forget", "box", "INBOX", "1")
    home.poll()
    compare(mail, home.letters())


@case(each=["state-retry-recorded", "spool-take-back", "spool-taken-back", "state-before-commit"])
def killed_in_a_retry(lab, home, point):
    """The letter is in one place, and nobody removes it as a stray."""
    mail = messages.sample(2)
    refused(lab, home, mail)
    home.binary = CRASH_BINARY
    result = home.run("state", "quarantine", "retry", "box", "--all",
                      env={"MAILHAUL_CRASH": point})
    assert result.code == -signal.SIGKILL, result
    home.poll()
    home.run("state", "quarantine", "retry", "box", "--all")
    home.poll()
    assert sorted(got(home)) == sorted(one.raw for one in mail), "lost, or doubled"
    assert not spool(home) and not read_maildir(home.file("state", "quarantine"))


@case(each=["spool-dropped", "state-drop-removed", "state-before-commit"])
def killed_in_a_drop(lab, home, point):
    """Dropping again ends it."""
    refused(lab, home, messages.sample(2))
    home.binary = CRASH_BINARY
    result = home.run("state", "quarantine", "drop", "box", "--all",
                      env={"MAILHAUL_CRASH": point})
    assert result.code == -signal.SIGKILL, result
    home.poll()
    state(home, "quarantine", "drop", "box", "--all")
    home.poll()
    assert counts(home) == {"skipped": 2} and not got(home)


@case()
def a_letter_that_nobody_waits_for(lab, home):
    """The account changed from an MDA to a Maildir while a letter waited."""
    user = user_of(home)
    lab.fill(user, messages.sample(1))
    home.configure({"box": mda_account(home, user, "cat >/dev/null; exit 75\n")})
    home.poll(code=75)
    letter, = spool(home)
    assert "no mailbox waits" not in state(home, "list").out
    home.configure({"box": home.account(user)})
    home.poll()
    time.sleep(11)
    assert "no mailbox waits for this letter: " + letter in state(home, "list").out
    assert listed(home, event="stray")[0]["file"] == letter


# ---- two at once ---------------------------------------------------------------------------------

@case()
def two_at_once(lab, home):
    """While a poll is at work nothing is changed, and looking is allowed."""
    user = user_of(home)
    lab.fill(user, messages.sample(3))
    path = home.file("hold")
    home.configure({"box": mda_account(
        home, user, "cat >/dev/null; touch $HOME/holds; while [ -e %s ]; do sleep 0.1; done\n"
        % path)})
    home.poll()
    export = home.write("export", state(home, "export").out)
    lab.fill(user, messages.sample(1, first=101))
    home.write("hold", "")
    os.remove(home.file("holds"))
    process = home.start("poll", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    laboratory.wait_for(lambda: os.path.exists(home.file("holds")), 20, "the MDA does not run")
    before = dump(home)[2]
    for args in (("forget", "box", "--all"), ("forget", "box", "INBOX", "1"),
                 ("quarantine", "drop", "box", "--all"), ("move", "box", "INBOX", "Other"),
                 ("import", export), ("mark-all-fetched",)):
        result = state(home, *args, code=75)
        assert "another mailhaul is at work on it" in result.err, result
        assert dump(home)[2] == before, "%s changed something" % (args,)
    assert "delivered" in state(home, "list").out
    assert len(state(home, "export").out.splitlines()) == 7
    state(home, "quarantine", "list")
    os.remove(path)
    assert process.wait(20) == 0
    state(home, "forget", "box", "--all")
