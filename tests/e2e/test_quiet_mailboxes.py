"""Keeping, sizes, limits, first runs and other numbers in several mailboxes, most of them quiet."""
import contextlib
import fcntl
import os
import sqlite3
import subprocess
import time

import memory
import messages
from program import compare
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_mailboxes import arrive_later, fill_each, maildirs, one_each, said
from test_recognise import OTHER_HOST, at
from test_recognise import said as said_how_many
from test_retention import scripted
from user import TREE

FOLDERS = ["INBOX", "Lists.a", "Lists.b", "Lists.c"]
PATTERNS = ["INBOX", "Lists/*"]


def opened(result):
    return said(result, "EXAMINE") + said(result, "SELECT")


def looked(home, folders=FOLDERS, **want):
    """What `test` counts, summed over all mailboxes; and it changes nothing."""
    def everything():
        with contextlib.closing(sqlite3.connect(home.file("state", "state.db"))) as db:
            return [db.execute("SELECT * FROM " + table).fetchall()
                    for table in ("account", "mailbox", "message", "maildir")]
    there = os.path.exists(home.file("state", "state.db"))
    before = everything() if there else None
    lab, user = home.lab, user_of(home)
    on_server = [sorted(lab.left(user, None if one == "INBOX" else one)) for one in folders]
    shown = home.run("--json", "test").json[0]["mailboxes"]
    sums = {key: sum(one[key] for one in shown) for key in want}
    assert sums == want, (sums, want, shown)
    if there:
        assert everything() == before, "test changed the state"
    after = [sorted(lab.left(user, None if one == "INBOX" else one)) for one in folders]
    assert after == on_server, "test changed a mailbox"
    return {one["name"]: one for one in shown}


def all_of(mail, folders=FOLDERS):
    return [one for folder in folders for one in mail[folder]]


def remember(home, state, first, count, then, gone=0):
    """So many messages more, in each mailbox."""
    memory.change(
        home, "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
        " INSERT INTO message SELECT id, validity, i, ?3, ?4, ?4, 0, 0, i, i, 4096, ?4, ?5"
        " FROM mailbox, n", first, first + count - 1, state, then, gone)


@case()
def keep_for_a_while_in_several(lab, home):
    """Of mailboxes without news only that one is opened in which something is due."""
    user = user_of(home)
    fill_each(lab, user, FOLDERS)
    one_each(home, user, PATTERNS, keep="30d")
    home.poll()
    assert not opened(home.poll("--trace")), "opened although nothing is due"
    letters = home.letters("Mail/Lists.b")
    memory.age(home, letters[:2], 31)
    shown = looked(home, would_remove=2, would_fetch=0)
    assert shown["Lists/b"]["would_remove"] == 2, shown
    result = home.poll("--trace", "--json")
    assert opened(result) == ['SELECT "Lists.b"'], opened(result)
    assert result.json[0]["removed"] == 2 and "UID FETCH" not in result.err, result
    assert [len(lab.left(user, one)) for one in (None, *FOLDERS[1:])] == [3, 3, 1, 3]
    assert not opened(home.poll("--trace"))
    assert all(len(home.letters("Mail/" + folder)) == 3 for folder in FOLDERS)


@case()
def rows_of_empty_polls(lab, home):
    """What an empty poll of several mailboxes reads of the state does not grow with what is
    remembered."""
    counter = home.file("count_rows.so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", counter,
                    os.path.join(TREE, "tests", "bench", "count_rows.c")], check=True)
    user = user_of(home)
    fill_each(lab, user, FOLDERS)
    one_each(home, user, PATTERNS, max_size="50M")
    home.poll()
    env = {"LD_PRELOAD": counter, "COUNT_ROWS": home.file("rows"),
           "ASAN_OPTIONS": home.env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}
    then = int(time.time()) - 60
    for keep, state, gone in ((True, memory.DELIVERED, 0), ("30d", memory.DELIVERED, 0),
                              (False, memory.REMOVED, then)):
        one_each(home, user, PATTERNS, max_size="50M", keep=keep)
        home.poll()  # with keep: false, all that is remembered is to be removed, and is gone
        memory.change(home, "DELETE FROM message")
        for first, count in ((100_000, 10), (200_000, 5_000)):
            remember(home, state, first, count, then, gone)
            assert not opened(home.poll("--trace", env=env)), keep
    with open(home.file("rows")) as file:
        read = [int(line.split()[0]) for line in file]
    assert len(read) == 6 and read[0::2] == read[1::2], read


@case()
def max_size_is_raised_in_several(lab, home):
    """What was too large in a quiet mailbox comes, and that mailbox alone is opened."""
    user = user_of(home)
    mail = fill_each(lab, user, FOLDERS)
    large = messages.large(200_000)
    lab.fill(user, [large], "Lists.c")
    one_each(home, user, PATTERNS, max_size="100K")
    assert home.poll("--json").json[0]["left"] == 1
    assert not opened(home.poll("--trace"))
    one_each(home, user, PATTERNS, max_size="1M", keep="30d")
    assert looked(home, would_fetch=1, left=0)["Lists/c"]["would_fetch"] == 1
    result = home.poll("--trace")
    assert opened(result) == ['EXAMINE "Lists.c"'], opened(result)
    compare(mail["Lists.c"] + [large], home.letters("Mail/Lists.c"))
    assert not opened(home.poll("--trace"))
    assert len(lab.left(user, "Lists.c")) == 4


@case()
def monthly_question_in_several(lab, home):
    """Quiet mailboxes are asked, too, each once in 30 days."""
    user = user_of(home)
    fill_each(lab, user, FOLDERS)
    one_each(home, user, PATTERNS)
    home.poll()
    path = lab.mailbox(user, "Lists.a")
    for name in lab.left(user, "Lists.a")[:2]:
        os.remove(next(os.path.join(path, part, name) for part in ("new", "cur")
                       if os.path.exists(os.path.join(path, part, name))))
    assert not opened(home.poll("--trace"))
    assert memory.change(home, "UPDATE mailbox SET checked = checked - ?", 31 * memory.DAY) == 4
    looked(home, would_fetch=0, would_remove=0)
    result = home.poll("--trace")
    assert len(opened(result)) == 4 and len(said(result, "UID SEARCH")) == 4, result
    assert memory.rows(home, "mailbox", "gone > 0") == memory.rows(
        home, "mailbox", "mailbox = (SELECT id FROM mailbox WHERE name = 'Lists/a')")[:2]
    assert not opened(home.poll("--trace")), "asked again"


@case()
def monthly_question_about_many(lab, home):
    """More than one command names; Dovecot answers them together."""
    one_account(lab, home, "imap", messages.sample(3))
    home.poll()
    remember(home, memory.DELIVERED, 1000, 12_000, int(time.time()))
    memory.change(home, "UPDATE mailbox SET checked = checked - ?", 31 * memory.DAY)
    result = home.poll("--trace")
    assert len(said(result, "UID SEARCH")) == 3, result
    assert memory.count(home, "gone > 0") == 12_000 and memory.count(home) == 12_003
    assert not said(home.poll("--trace"), "UID SEARCH"), "asked again"


@case()
def first_run_skip_in_several(lab, home):
    """In each mailbox that a pattern means, also in an empty one; what arrives then is new."""
    user = user_of(home)
    old = fill_each(lab, user, FOLDERS[:3])
    lab.fill(user, [], "Lists.c")
    one_each(home, user, [*PATTERNS, "!Lists/b"], first_run="skip", keep=False)
    looked(home, skipped=6, would_fetch=0, would_remove=0)
    assert home.poll("--json").json[0]["skipped"] == 6
    new = {folder: messages.sample(2, first=9000 + 100 * number)
           for number, folder in enumerate(FOLDERS)}
    for folder in FOLDERS:
        arrive_later(lab, user, new[folder], None if folder == "INBOX" else folder)
    looked(home, skipped=0, would_fetch=6, would_remove=6)
    home.poll()
    home.poll()
    assert maildirs(home) == ["INBOX", "Lists.a", "Lists.c"], maildirs(home)
    for folder in maildirs(home):
        compare(new[folder], home.letters("Mail/" + folder))
    assert [len(lab.left(user, one)) for one in (None, *FOLDERS[1:])] == [3, 3, 5, 0]
    # One that is named later is collected whole.
    one_each(home, user, PATTERNS, first_run="skip", keep=False)
    home.poll()
    compare(old["Lists.b"] + new["Lists.b"], home.letters("Mail/Lists.b"))


@case()
def mark_all_in_several(lab, home):
    """All that patterns mean counts as fetched, and is never removed; the others do not."""
    user = user_of(home)
    old = fill_each(lab, user, FOLDERS)
    one_each(home, user, [*PATTERNS, "!Lists/b"], keep=False)
    assert "9 messages" in home.run("state", "mark-all-fetched").out
    assert not opened(home.poll("--trace")), "what was marked is not quiet"
    one_each(home, user, PATTERNS, keep=False)
    looked(home, would_fetch=3, would_remove=3)
    home.poll()
    assert maildirs(home) == ["Lists.b"], maildirs(home)
    compare(old["Lists.b"], home.letters("Mail/Lists.b"))
    assert [len(lab.left(user, one)) for one in (None, *FOLDERS[1:])] == [3, 3, 0, 3]


@case(each=PROTOCOLS)
def mark_all_of_what_is_too_large(lab, home, protocol):
    """It counts as fetched, and does not come when max_size is raised."""
    mail = messages.sample(3) + [messages.large(200_000, number=9)]
    user = one_account(lab, home, protocol, mail, max_size="100K")
    home.poll()
    home.run("state", "mark-all-fetched")
    home.configure({"box": home.account(user, protocol, keep=False)})
    home.poll()
    compare(mail[:3], home.letters(), protocol)
    assert len(lab.left(user)) == 1


@case()
def max_messages_in_several(lab, home):
    """Over all mailboxes in one poll; what is put off stays, and the quiet ones are not opened."""
    user = user_of(home)
    mail = fill_each(lab, user, FOLDERS, 5)
    one_each(home, user, PATTERNS, max_messages=8, keep=False)
    for come, new, put_off in ((8, 8, 12), (16, 8, 4), (20, 4, 0)):
        looked(home, would_fetch=new, put_off=put_off)
        assert home.poll("--json").json[0]["put_off"] == put_off
        assert sum(len(home.letters("Mail/" + one)) for one in maildirs(home)) == come
        assert sum(len(lab.left(user, one)) for one in (None, *FOLDERS[1:])) == 20 - come
    for folder in FOLDERS:
        compare(mail[folder], home.letters("Mail/" + folder))
    assert not opened(home.poll("--trace"))


@case()
def host_renamed_in_several(lab, home):
    """Each mailbox that a pattern means is known again; a duration goes on."""
    user = user_of(home)
    mail = fill_each(lab, user, FOLDERS)
    deliver = {"maildir": home.file("Mail/%{mailbox}")}
    one_each(home, user, PATTERNS, keep="30d")
    home.poll()
    memory.age(home, home.letters("Mail/Lists.a")[:2], 31)
    more = messages.sample(2, first=9001)
    lab.fill(user, more, "Lists.c")
    # A mailbox that is new is none of a new account's, whose mail would be skipped.
    mail["Lists.d"] = messages.sample(2, first=9101)
    lab.fill(user, mail["Lists.d"], "Lists.d")
    keys = {"keep": "30d", "first_run": "skip", "mailboxes": PATTERNS, "deliver": deliver}
    home.configure({"box": at(lab, home, user, "imap", OTHER_HOST, **keys)})
    looked(home, would_fetch=4, would_remove=2)
    result = home.poll()
    for recognised, fetched in ((3, 0), (3, 2)):
        said_how_many(result, recognised, fetched)
    home.poll()
    for folder in [*FOLDERS, "Lists.d"]:
        compare(mail[folder] + (more if folder == "Lists.c" else []),
                home.letters("Mail/" + folder))
    assert [len(lab.left(user, one)) for one in (None, *FOLDERS[1:])] == [3, 1, 3, 5]
    assert not opened(home.poll("--trace")), "what was adopted is not quiet"


@case()
def labels_of_gmail_with_one_that_is_locked(lab, home):
    """The account is left alone until it is free; then each comes once, and leaves all labels."""
    from server import GmailServer
    mail = messages.sample(5)
    octets = {one.number: (1000 + one.number, one.raw.replace(b"\n", b"\r\n")) for one in mail}
    labels = {"INBOX": {5: octets[1], 6: octets[2]}, "Work": {1: octets[2], 2: octets[3]}}
    with GmailServer(lab.certificates, labels) as server:
        home.configure({"box": home.account(user_of(home), port=server.port, keep=False,
                                            mailboxes=["INBOX", "Work"])})
        home.poll()
        labels["INBOX"].update({7: octets[4], 8: octets[5]})
        labels["Work"].update({3: octets[5], 4: octets[4], 5: octets[1]})
        work = memory.rows(home, "mailbox", "key = '2'")[0][0]
        lock = os.open(home.file("state", "locks", str(work)), os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        looked(home, (), would_fetch=4)  # one that is new under two labels counts for each
        assert not home.poll().err
        assert len(labels["Work"]) == 3, labels
        os.close(lock)
        home.poll()
        home.poll()
        compare(mail, home.letters())
        assert sorted(server.fetched) == [1001, 1002, 1003, 1004, 1005], server.fetched
        assert not labels["INBOX"] and not labels["Work"], labels


@case()
def labels_of_gmail_and_a_while(lab, home):
    """A label that comes later does not prolong it: what counts is when the message was delivered."""
    from server import GmailServer
    mail = messages.sample(3)
    octets = {one.number: (1000 + one.number, one.raw.replace(b"\n", b"\r\n")) for one in mail}
    labels = {"INBOX": {5: octets[1], 6: octets[2]}, "Work": {1: octets[3]}}
    with GmailServer(lab.certificates, labels) as server:
        home.configure({"box": home.account(user_of(home), port=server.port, keep="30d",
                                            mailboxes=["INBOX", "Work"])})
        home.poll()
        old = [one for one in home.letters() if one.message == mail[0].raw]
        memory.age(home, old, 20)
        labels["Work"].update({2: octets[1], 3: octets[2]})
        home.poll()
        assert memory.change(home, "UPDATE message SET taken = taken - ?1, changed = changed - ?1",
                             11 * memory.DAY) == 5
        home.poll()
        home.poll()
        assert set(labels["INBOX"]) == {6} and set(labels["Work"]) == {1, 3}, labels
        compare(mail, home.letters())


@case(each=PROTOCOLS)
def a_letter_that_is_nowhere(lab, home, protocol):
    """It is fetched again, and no other one is; what is due goes, and it does not."""
    mail = messages.sample(8)
    user = one_account(lab, home, protocol, mail, keep="30d")
    home.poll()
    letters = home.letters()
    memory.age(home, letters[:3], 31)
    lost = letters[5]
    memory.age(home, [lost], 31)
    memory.change(home, "UPDATE message SET state = 1 WHERE name = ?",
                  os.path.basename(lost.path).partition(":")[0])
    os.remove(lost.path)
    looked(home, ["INBOX"], would_remove=3)
    result = home.poll("--trace")
    assert "will be fetched again" in result.err, result
    compare(mail, home.letters(), protocol)
    assert len(lab.left(user)) == 5
    assert home.poll().err == ""
    assert len(lab.left(user)) == 5


@case(each=["some", "none", "no answer"])
def said_to_be_removed(lab, home, how):
    """UID EXPUNGE is answered OK, and messages stay (Dovecot does so while another session expunges,
    too): they are removed by the next poll, and nothing is delivered twice."""
    mail = messages.sample(5)
    answers = {"EXPUNGE": ["* 1 EXPUNGE"] * (2 if how == "some" else 0) + ["{tag} OK done"]}
    with scripted(lab, "imap", mail, answers=answers) as server:
        home.configure({"box": home.account(user_of(home), port=server.port, max_size="1M")})
        home.poll()
        home.configure({"box": home.account(user_of(home), port=server.port, keep=False)})
        if how == "some":
            del server.messages[2], server.messages[3]
        elif how == "no answer":
            server.answers["list"] = ["{tag} NO not now"]
        result = home.poll("--json", code=75)
        left = 3 if how == "some" else 5
        word = "may still have" if how == "no answer" else "still has"
        assert result.json[0]["removed"] == 5 - left, result
        assert "%s %d messages" % (word, left) in home.run("-v", "status").out + result.err, result
        assert memory.count(home, "state = %d" % memory.DELIVERED) == left
        server.answers = {}
        result = home.poll("--json")
        assert result.json[0]["removed"] == left and not server.messages, result
        assert memory.count(home, "state = %d" % memory.REMOVED) == 5
        compare(mail, home.letters())
        commands = len(server.commands)
        home.poll()
        assert "EXPUNGE" not in server.commands[commands:]


@case()
def a_short_list(lab, home):
    """A server that leaves messages out of its list: what is left out is collected once it tells
    of it, and what came is not collected twice."""
    mail = messages.sample(6)
    answers = {"list": ["* 1 FETCH (UID 1)", "* 3 FETCH (UID 3)", "* 4 FETCH (UID 4)",
                        "{tag} OK done"]}
    with scripted(lab, "imap", mail, answers=answers) as server:
        home.configure({"box": home.account(user_of(home), port=server.port)})
        for _ in range(2):
            home.poll()
            compare([one for one in mail if one.number in (1, 3, 4)], home.letters())
        server.answers = {}
        home.poll()
        compare(mail, home.letters())
        commands = len(server.commands)
        home.poll()
        assert "list" not in server.commands[commands:], server.commands[commands:]


@case()
def pop3_still_there_and_numbered_anew(lab, home):
    """The server kept what it said it removed, and then names it otherwise: nothing is lost, and
    what was not delivered is not removed."""
    mail = messages.sample(6)
    with scripted(lab, "pop3", mail[:4], answers={"QUIT": ["+OK"]}) as server:
        home.configure({"box": home.account(user_of(home), "pop3", port=server.port, keep=False)})
        home.poll()
        result = home.poll()
        assert "still has message" in result.err and len(server.messages) == 4, result
        compare(mail[:4], home.letters())
        raw = {100 + one.number: one.raw.replace(b"\n", b"\r\n") for one in mail}
        server.messages, server.answers = raw, {}
        home.poll()
        home.poll()
        compare(mail, home.letters(), "pop3", doubled=4)
        assert not server.messages
