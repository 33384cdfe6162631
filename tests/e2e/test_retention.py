"""What stays on the server and how long, and what is left there."""
import os
import shutil
import sys

import lab as laboratory
import memory
import messages
from program import compare
from runner import case
from test_collect import PROTOCOLS, one_account, user_of

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path += [os.path.join(TESTS, "fault"), os.path.join(TESTS, "bench")]


def on_server(lab, user, folder=None):
    """Numbers of the messages that are there."""
    return {int(name.split(".M")[1].split(".")[0]) for name in lab.left(user, folder)}


def number_of(letter, mail):
    return next(one.number for one in mail if one.raw == letter.message)


def scripted(lab, protocol, mail, **how):
    """A server that does what a test says: for what no real one is to be had."""
    from server import ImapServer, Pop3Server
    kind = ImapServer if protocol == "imap" else Pop3Server
    return kind(lab.certificates, [one.raw.replace(b"\n", b"\r\n") for one in mail], **how)


@case(each=PROTOCOLS)
def keep_for_a_day(lab, home, protocol):
    """What is due goes, by its uid and without a listing; nothing else does."""
    mail = messages.sample(10)
    user = one_account(lab, home, protocol, mail, keep="1d")
    home.poll()
    assert len(lab.left(user)) == 10, "removed too early"
    letters = home.letters()
    memory.age(home, letters[:3], 2)
    memory.age(home, letters[3:5], -2)  # the clock was wrong
    shown = home.run("--json", "test").json[0]["mailboxes"][0]
    assert shown["would_remove"] == 3, shown
    result = home.poll("--trace", "--json")
    assert result.json[0]["removed"] == 3, result
    assert on_server(lab, user) == {number_of(one, mail) for one in letters[3:]}
    if protocol == "imap":
        assert "UID FETCH" not in result.err, "it listed: %r" % result
        assert "SELECT \"INBOX\"" in result.err, result
    result = home.poll("--trace")
    assert protocol == "pop3" or "EXAMINE \"INBOX\"" in result.err, \
        "opened for writing although nothing is due"
    compare(mail, home.letters())
    assert len(lab.left(user)) == 7


@case(each=PROTOCOLS)
def keep_true_then_a_while(lab, home, protocol):
    """What was delivered while everything was kept counts from its delivery, too."""
    mail = messages.sample(6)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    memory.age(home, home.letters()[:2], 31)
    home.configure({"box": home.account(user, protocol, keep="30d")})
    home.poll()
    assert len(lab.left(user)) == 4
    home.configure({"box": home.account(user, protocol, keep="3650d")})
    home.poll()
    assert len(lab.left(user)) == 4


@case(each=PROTOCOLS)
def max_size(lab, home, protocol):
    """Larger ones are told once, stay, and come when they may."""
    mail = [messages.large(200_000)] + messages.sample(8, first=2)
    user = one_account(lab, home, protocol, mail, keep=False, max_size="100K")
    shown = home.run("--json", "test").json[0]["mailboxes"][0]
    assert (shown["would_fetch"], shown["left"]) == (8, 1), shown
    result = home.poll("--json")
    assert "1 message is larger than max_size" in result.err, result
    assert (result.json[0]["left"], result.json[0]["delivered"]) == (1, 8), result
    assert home.run("--json", "status").json[0]["left"] == 1
    result = home.poll("--json")
    assert result.err == "", "told again: %r" % result
    compare(mail[1:], home.letters(), protocol)
    assert on_server(lab, user) == {1}
    home.configure({"box": home.account(user, protocol, keep=False, max_size="1M")})
    home.poll()
    compare(mail, home.letters(), protocol)
    assert not lab.left(user)


@case(each=PROTOCOLS)
def a_size_that_was_too_small(lab, home, protocol):
    """The server tells a small size and sends more: the message is not delivered."""
    mail = messages.sample(3) + [messages.large(300_000, number=4)]
    answers = {"list": ["* 1 FETCH (UID 1 RFC822.SIZE 9)", "* 4 FETCH (UID 4 RFC822.SIZE 9)",
                        "{tag} OK done"]} if protocol == "imap" else \
        {"LIST": ["+OK", "1 9", "4 9", "."]}
    with scripted(lab, protocol, mail, answers=answers) as server:
        home.configure({"box": home.account(user_of(home), protocol, port=server.port, keep=False,
                                            max_size="100K")})
        result = home.poll("--json")
        assert result.json[0]["left"] == 1, result
        assert 4 not in server.removed and 1 in server.removed, server.removed
        if protocol == "pop3":
            server.answers = {"LIST": ["+OK", "1 9", "."]}
        again = home.poll("--json")
        assert again.json[0]["left"] == 0 and again.err == "", again
    assert messages.large(300_000, number=4).raw not in [one.message for one in home.letters()]


@case(each=PROTOCOLS)
def max_messages(lab, home, protocol):
    mail = messages.sample(25)
    one_account(lab, home, protocol, mail, max_messages=10)
    for want, put_off in ((10, 15), (20, 5), (25, 0), (25, 0)):
        shown = home.run("--json", "test").json[0]["mailboxes"][0]
        assert shown["put_off"] == put_off, shown
        result = home.poll("--json")
        assert len(home.letters()) == want, "%d letters: %r" % (len(home.letters()), result)
        assert result.json[0]["put_off"] == put_off, result
    compare(mail, home.letters(), protocol)


@case()
def max_messages_of_several_mailboxes(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(6))
    lab.fill(user, messages.sample(6, first=101), "Other")
    home.configure({"box": home.account(user, mailboxes=["INBOX", "Other"], max_messages=8)})
    home.poll()
    assert len(home.letters()) == 8
    home.poll()
    compare(messages.sample(6) + messages.sample(6, first=101), home.letters())


@case(each=PROTOCOLS)
def first_run_skip(lab, home, protocol):
    """What is there stays, whatever keep says; what arrives from then on is collected."""
    old, new = messages.sample(10), messages.sample(3, first=101)
    user = one_account(lab, home, protocol, old, first_run="skip", keep=False)
    shown = home.run("--json", "test").json[0]["mailboxes"][0]
    assert (shown["would_fetch"], shown["skipped"]) == (0, 10), shown
    result = home.poll("--trace", "--json")
    assert result.json[0]["skipped"] == 10, result
    if protocol == "imap":
        assert "UID FETCH" not in result.err, "it listed: %r" % result
    lab.fill(user, new)
    home.poll()
    home.poll()
    compare(new, home.letters(), protocol)
    assert on_server(lab, user) == {one.number for one in old}


@case()
def first_run_skip_of_a_visit_that_failed(lab, home):
    """One mailbox cannot be opened: the account's first visit is not over, but what arrives in the
    others counts as new."""
    user = user_of(home)
    lab.fill(user, messages.sample(4))
    home.configure({"box": home.account(user, mailboxes=["INBOX", "Later"], first_run="skip")})
    home.poll(code=75)
    new = messages.sample(2, first=101)
    lab.fill(user, new)
    home.poll(code=75)
    compare(new, home.letters())
    lab.fill(user, messages.sample(2, first=201), "Later")
    home.poll()
    lab.fill(user, messages.sample(2, first=301), "Last")
    home.configure({"box": home.account(user, mailboxes=["INBOX", "Later", "Last"],
                                        first_run="skip")})
    home.poll()
    compare(new + messages.sample(2, first=301), home.letters())


@case()
def pop3_removals_count_after_quit(lab, home):
    mail = messages.sample(5)
    with scripted(lab, "pop3", mail, answers={"QUIT": ["-ERR some were not removed"]}) as server:
        home.configure({"box": home.account(user_of(home), "pop3", port=server.port, keep=False)})
        result = home.poll("--json", code=75)
        assert (result.json[0]["delivered"], result.json[0]["removed"]) == (5, 0), result
        assert memory.count(home, "state = %d" % memory.DELIVERED) == 5
        server.answers = {}
        result = home.poll("--json")
        assert (result.json[0]["delivered"], result.json[0]["removed"]) == (0, 5), result
        assert memory.count(home, "state = %d" % memory.REMOVED) == 5
        assert len(server.removed) == 5
    compare(mail, home.letters())


@case(each=[("EXPIRE 0", "30d", True), ("EXPIRE 0 USER", True, True), ("EXPIRE 60", True, False),
            ("EXPIRE 0", False, False)])
def expire(lab, home, words, keep, warns):
    """A server that removes by itself what was retrieved."""
    offers = "USER|UIDL|SASL PLAIN|PIPELINING|" + words
    with scripted(lab, "pop3", messages.sample(2), offers=offers) as server:
        home.configure({"box": home.account(user_of(home), "pop3", port=server.port, keep=keep)})
        told = home.run("test")
        assert ("EXPIRE 0)" in told.out) == warns, told
        assert bool(home.run("--json", "test").json[0]["warning"]) == warns
        assert ("EXPIRE 0)" in home.poll("-v").err) == warns


@case(each=PROTOCOLS)
def what_vanished_is_forgotten(lab, home, protocol):
    """After 30 days; IMAP is asked once a month, POP3's listing is compared once a day."""
    mail = messages.sample(8)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    for name in lab.left(user)[:3]:
        for part in ("new", "cur"):
            path = os.path.join(lab.mailbox(user), part, name)
            if os.path.exists(path):
                os.remove(path)
    home.poll()
    assert memory.count(home, "gone > 0") == 0, "looked too early"
    wait = (31 if protocol == "imap" else 2) * memory.DAY
    memory.change(home, "UPDATE mailbox SET checked = checked - ?", wait)
    home.poll()
    assert memory.count(home, "gone > 0") == 3
    assert memory.count(home) == 8
    memory.change(home, "UPDATE message SET gone = gone - ? WHERE gone > 0", 29 * memory.DAY)
    home.poll()
    assert memory.count(home) == 8, "forgotten too early"
    memory.change(home, "UPDATE message SET gone = gone - ? WHERE gone > 0", 2 * memory.DAY)
    home.poll()
    assert memory.count(home) == 5
    home.poll()
    compare(mail, home.letters(), protocol)


@case()
def pop3_what_is_back_is_known(lab, home):
    """A listing that was short for a day."""
    mail = messages.sample(6)
    user = one_account(lab, home, "pop3", mail)
    home.poll()
    aside = home.file("aside")
    path = lab.mailbox(user)
    name = lab.left(user)[0]
    where = next(os.path.join(path, part, name) for part in ("new", "cur")
                 if os.path.exists(os.path.join(path, part, name)))
    uidlist = os.path.join(path, "dovecot-uidlist")
    with open(uidlist, "rb") as file:
        kept = file.read()
    os.rename(where, aside)
    memory.change(home, "UPDATE mailbox SET checked = checked - ?", 2 * memory.DAY)
    home.poll()
    assert memory.count(home, "gone > 0") == 1
    os.rename(aside, where)
    for index in os.listdir(path):
        if index.startswith("dovecot.index"):
            os.remove(os.path.join(path, index))
    with open(uidlist, "wb") as file:
        file.write(kept)
    home.poll()
    assert memory.count(home, "gone > 0") == 0
    compare(mail, home.letters(), "pop3")


@case(each=[(protocol, keep) for protocol in PROTOCOLS for keep in (True, False, "1d")])
def a_state_from_last_week(lab, home, protocol, keep):
    """Restored from a backup: no error, nothing lost, nothing removed that was not delivered."""
    first, second, third = (messages.sample(5, first=1 + 100 * i) for i in range(3))
    user = one_account(lab, home, protocol, first, keep=keep)
    home.poll()
    shutil.copytree(home.file("state"), home.file("backup"))
    lab.fill(user, second)
    home.poll()
    shutil.rmtree(home.file("state"))
    os.rename(home.file("backup"), home.file("state"))
    lab.fill(user, third)
    for _ in range(2):
        result = home.poll()
        assert result.err == "", result
    # What was taken since the backup, and is still on the server, comes twice.
    compare(first + second + third, home.letters(), protocol, doubled=0 if keep is False else 5)
    assert len(lab.left(user)) == (0 if keep is False else 15)


@case()
def nothing_due_costs_no_flight(lab, home):
    """keep: 30d polls as quietly as keep: true."""
    from proxy import Proxy
    user = one_account(lab, home, "imap", messages.sample(20), auth="plain")
    flights = []
    for keep in (True, "30d"):
        with Proxy(laboratory.HOST, lab.ports["imap"], 0.005) as proxy:
            home.configure({"box": home.account(user, keep=keep, auth="plain", port=proxy.port)})
            home.poll()
            home.poll()
            flights.append(proxy.flights[-1])
    assert flights[0] == flights[1], flights
