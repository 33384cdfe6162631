"""The server numbers its messages anew, or is called otherwise: what is known stays known."""
import os
import re
import shutil
import time

import memory
import messages
from program import compare, read_maildir
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_retention import on_server

# An address whose certificate is good for this name.
OTHER_HOST, OTHER_NAME = "127.0.0.4", "other.lab.test"


def next_second():
    """UIDVALIDITY is the second in which Dovecot made a mailbox."""
    time.sleep(1.01)


def renumber(lab, user):
    """The server forgets its numbers: another UIDVALIDITY, and so other UIDLs."""
    next_second()
    path = lab.mailbox(user)
    for name in os.listdir(path):
        if name.startswith("dovecot"):
            os.remove(os.path.join(path, name))


def fetched_whole(result):
    """How many messages the dialogue asked for."""
    sets = re.findall(r"C: \S+ UID FETCH (\S+) \(UID INTERNALDATE BODY\.PEEK\[\]\)", result.err)
    total = 0
    for part in ",".join(sets).split(",") if sets else []:
        low, _, high = part.partition(":")
        total += int(high or low) - int(low) + 1
    return total + len(re.findall(r"C: RETR", result.err))


def at(lab, home, user, protocol, host, **keys):
    """The account at this address of the same server."""
    tls = {"mode": "starttls", "ca_file": lab.ca}
    if host == OTHER_HOST:
        tls["server_name"] = OTHER_NAME
    return home.account(user, protocol, host=host, tls=tls, **keys)


def said(result, recognised, fetched):
    assert "%d were recognised and not delivered again, %d were fetched" % (
        recognised, fetched) in result.err, result


def would(home, fetch, remove):
    """What `test` says; and it changes nothing."""
    def everything():
        with memory.opened(home) as db:
            return [db.execute("SELECT * FROM " + table).fetchall()
                    for table in ("account", "mailbox", "message")]
    before = everything()
    shown = home.run("--json", "test").json[0]["mailboxes"][0]
    assert (shown["would_fetch"], shown["would_remove"]) == (fetch, remove), shown
    assert everything() == before


@case(each=PROTOCOLS)
def numbered_anew(lab, home, protocol):
    """Only headers are fetched of what is known, the others whole; and the log says how many."""
    mail, more = messages.sample(20), messages.sample(3, first=3001)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    renumber(lab, user)
    lab.fill(user, more)
    would(home, 3, 0)
    result = home.poll("--trace")
    said(result, 20, 3)
    assert fetched_whole(result) == 3, result
    assert ("TOP" if protocol == "pop3" else "HEADER.FIELDS") in result.err
    compare(mail + more, home.letters(), protocol)
    result = home.poll()
    assert result.err == "", result
    more += messages.sample(2, first=4001)
    lab.fill(user, more[3:])
    home.poll()
    compare(mail + more, home.letters(), protocol)


@case(each=PROTOCOLS)
def numbered_anew_and_removed(lab, home, protocol):
    """What is recognised counts from its delivery, and is removed by its new number."""
    mail = messages.sample(12)
    user = one_account(lab, home, protocol, mail, keep="10d")
    home.poll()
    letters = home.letters()
    memory.age(home, letters[:4], 11)
    stay = {one.number for one in mail
            if one.raw in [letter.message for letter in letters[4:]]}
    renumber(lab, user)
    lab.fill(user, messages.sample(2, first=5001))
    home.poll()
    assert on_server(lab, user) == stay | {5001, 5002}, sorted(on_server(lab, user))
    home.configure({"box": home.account(user, protocol, keep=False)})
    renumber(lab, user)
    home.poll()
    assert not lab.left(user)
    compare(mail + messages.sample(2, first=5001), home.letters(), protocol)


@case(each=PROTOCOLS)
def copies(lab, home, protocol):
    """Of two copies of which one is known, the other is new."""
    mail = messages.sample(6)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    renumber(lab, user)
    copy = messages.Message(77, "copy", mail[0].raw, mail[0].date)
    lab.fill(user, [copy])
    home.poll()
    letters = [letter.message for letter in home.letters()]
    assert len(letters) == 7 and letters.count(mail[0].raw) == 2, len(letters)


@case()
def deleted_and_made_again(lab, home):
    """A mailbox with some of the old messages in it, and some new ones."""
    mail, more = messages.sample(10), messages.sample(2, first=101)
    user = one_account(lab, home, "imap", mail)
    home.poll()
    shutil.rmtree(lab.mailbox(user))
    next_second()
    lab.fill(user, mail[4:] + more)
    result = home.poll("--trace")
    said(result, 6, 2)
    assert fetched_whole(result) == 2, result
    compare(mail + more, home.letters())
    # What was not found has vanished; should it come back within 30 days, it is known.
    assert memory.count(home, "gone > 0") == 4
    lab.fill(user, mail[:2])
    home.poll()
    compare(mail + more, home.letters())
    assert memory.count(home, "gone > 0") == 2


@case()
def deleted_and_made_again_empty(lab, home):
    """What was known has vanished; no poll from then on reads it for what would be due."""
    mail = messages.sample(5)
    user = one_account(lab, home, "imap", mail, keep="30d")
    home.poll()
    shutil.rmtree(lab.mailbox(user))
    next_second()
    lab.fill(user, [])
    home.run("test")
    assert memory.count(home, "gone > 0") == 0
    said(home.poll(), 0, 0)
    assert memory.count(home, "gone > 0") == 5
    assert home.poll().err == ""
    lab.fill(user, mail[:2] + messages.sample(1, first=101))
    said(home.poll(), 2, 1)
    compare(mail + messages.sample(1, first=101), home.letters())


@case(each=PROTOCOLS)
def without_the_three_fields(lab, home, protocol):
    """What has no Message-ID, Date or From cannot be recognised: lost is worse than twice."""
    mail = messages.sample(4) + [messages.Message(9, "bare", b"Subject: x\n\nbody\n", 9)]
    user = one_account(lab, home, protocol, mail)
    home.poll()
    renumber(lab, user)
    home.poll()
    compare(mail, home.letters(), protocol, doubled=1)


@case()
def pop3_other_mail(lab, home):
    """Three old ones went and three new ones came: that looks as if it were numbered anew, but
    nothing is recognised, and nothing lost."""
    old, new = messages.sample(3), messages.sample(3, first=101)
    user = one_account(lab, home, "pop3", old)
    home.poll()
    shutil.rmtree(lab.mailbox(user))
    next_second()
    lab.fill(user, new)
    result = home.poll()
    said(result, 0, 3)
    compare(old + new, home.letters(), "pop3")


@case()
def pop3_few_are_just_new_mail(lab, home):
    old, new = messages.sample(10), messages.sample(3, first=101)
    user = one_account(lab, home, "pop3", old)
    home.poll()
    shutil.rmtree(lab.mailbox(user))
    next_second()
    lab.fill(user, new)
    result = home.poll()
    assert result.err == "", result
    compare(old + new, home.letters(), "pop3")


@case()
def pop3_without_top(lab, home):
    """Messages are fetched whole, and then recognised."""
    from test_retention import scripted
    mail = messages.sample(6)
    with scripted(lab, "pop3", mail) as server:
        home.configure({"box": home.account(user_of(home), "pop3", port=server.port)})
        home.poll()
        server.messages = {uid + 100: octets for uid, octets in server.messages.items()}
        would(home, 6, 0)  # without fetching nobody knows
        said(home.poll(), 6, 0)
        assert "TOP" not in server.commands
    compare(mail, home.letters())


@case(each=PROTOCOLS)
def host_renamed(lab, home, protocol):
    """The same mailbox under another name: known again, the rows move, and nothing is skipped."""
    mail, more = messages.sample(15), messages.sample(2, first=101)
    user = one_account(lab, home, protocol, mail, keep="30d")
    home.poll()
    memory.age(home, home.letters()[:5], 31)
    lab.fill(user, more)
    home.configure({"box": at(lab, home, user, protocol, OTHER_HOST, keep="30d",
                              first_run="skip")})
    would(home, 2, 5)
    result = home.poll("--trace")
    said(result, 15, 2)
    assert fetched_whole(result) == 2, result
    compare(mail + more, home.letters(), protocol)
    home.poll()
    assert len(lab.left(user)) == 12, "what was due did not go"
    # And back.
    lab.fill(user, messages.sample(1, first=201))
    home.configure({"box": at(lab, home, user, protocol, "127.0.0.2", keep="30d")})
    home.poll()
    compare(mail + more + messages.sample(1, first=201), home.letters(), protocol)


@case(each=PROTOCOLS)
def another_server_with_the_same_user(lab, home, protocol):
    """Other mail with the same numbers: all of it is fetched, and none of it removed before."""
    old, new = messages.sample(8), messages.sample(8, first=101)
    user = one_account(lab, home, protocol, old, keep=False)
    home.configure({"box": home.account(user, protocol)})
    home.poll()
    shutil.rmtree(lab.mailbox(user))
    next_second()
    lab.fill(user, new + old[:1])
    home.configure({"box": at(lab, home, user, protocol, OTHER_HOST)})
    said(home.poll(), 1, 8)
    compare(old + new, home.letters(), protocol)
    assert len(lab.left(user)) == 9


@case(each=PROTOCOLS)
def another_configured_host(lab, home, protocol):
    """Two accounts with the same user, at two hosts: neither takes anything from the other."""
    mail = messages.sample(6)
    user = user_of(home)
    lab.fill(user, mail)
    one = at(lab, home, user, protocol, "127.0.0.2")
    two = at(lab, home, user, protocol, OTHER_HOST, deliver={"maildir": home.file("Two")})
    home.configure({"one": one})
    home.poll()
    home.configure({"one": one, "two": two})
    result = home.poll()
    assert result.err == "", result
    compare(mail, home.letters(), protocol)
    compare(mail, read_maildir(home.file("Two")), protocol)


@case(each=[("keep", True), ("remove", False)])
def labels_of_gmail(lab, home, name, keep):
    """One message under several labels is delivered once, also when a label comes later; and with
    keep: false it leaves all of them."""
    from server import GmailServer
    mail = messages.sample(6)
    octets = {one.number: (1000 + one.number, one.raw.replace(b"\n", b"\r\n")) for one in mail}
    labels = {"INBOX": {5: octets[1], 6: octets[2], 7: octets[3]},
              "Work": {1: octets[3], 2: octets[4], 3: octets[1]}}
    with GmailServer(lab.certificates, labels) as server:
        home.configure({"box": home.account(user_of(home), port=server.port, keep=keep,
                                            mailboxes=["INBOX", "Work"])})
        home.poll()
        compare(mail[:4], home.letters())
        assert sorted(server.fetched) == [1001, 1002, 1003, 1004], server.fetched
        assert bool(labels["INBOX"]) == bool(labels["Work"]) == keep, labels
        labels["Work"].update({8: octets[2], 9: octets[5]})
        labels["INBOX"].update({8: octets[6]})
        home.poll()
        home.poll()
        compare(mail, home.letters())
        assert len(server.fetched) == 6, server.fetched
        assert bool(labels["INBOX"]) == bool(labels["Work"]) == keep, labels
    del name
