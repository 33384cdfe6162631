"""What each server has of its own: mechanisms, capabilities, unique ids, and how it ends."""
import contextlib
import imaplib
import os
import poplib
import re
import sqlite3
import ssl
import sys

import messages
from courier import Courier
from cyrus import Cyrus
from lab import HOST, SECRET
from program import compare
from runner import EVERY, case
from test_collect import PROTOCOLS, nothing_left, one_account, user_of
from test_disk import database
from user import TREE

sys.path.append(os.path.join(TREE, "tests", "bench"))

from proxy import Proxy  # noqa: E402

LOGIN_COMMAND = {"imap": "LOGIN command", "pop3": "USER and PASS"}


def ways(laboratory):
    return [(protocol, tls, name) for protocol in PROTOCOLS for tls in ("starttls", "implicit")
            for name in laboratory.mechanisms + ("login-command",)]


@case(servers=(Cyrus.server,), each=ways(Cyrus))
@case(servers=(Courier.server,), each=ways(Courier))
def mechanism_by_name(lab, home, protocol, tls, name):
    mail = messages.sample(2)
    user = one_account(lab, home, protocol, mail, implicit=tls == "implicit", auth=name.lower())
    result = home.poll("-v")
    compare(mail, home.letters(), protocol)
    by = LOGIN_COMMAND[protocol] if name == "login-command" else name
    assert "logged in as %s by %s\n" % (user, by) in result.err, result
    assert "warning" not in result.err, result
    assert len(lab.logins(user)) == 1, lab.logins(user)
    home.log_shows_no_secret(result)


def trusting(lab):
    """For another client, which tells an end without close_notify from one with it."""
    context = ssl.create_default_context(cafile=lab.ca)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def offered_mechanisms(lab, protocol):
    """What the server says inside TLS, asked by somebody else."""
    if protocol == "imap":
        with imaplib.IMAP4_SSL(HOST, lab.ports["imaps"], ssl_context=trusting(lab)) as imap:
            return {word[5:] for word in imap.capabilities if word.startswith("AUTH=")}
    pop3 = poplib.POP3_SSL(HOST, lab.ports["pop3s"], context=trusting(lab))
    with contextlib.closing(pop3):
        return set(pop3.capa()["SASL"])


@case(servers=EVERY, each=PROTOCOLS)
def mechanisms_offered(lab, home, protocol):
    """The cases above leave out none that the server offers, but those that mailhaul cannot."""
    assert home
    assert offered_mechanisms(lab, protocol) == set(lab.mechanisms + lab.other_mechanisms)


@case(servers=EVERY, each=PROTOCOLS)
def capabilities(lab, home, protocol):
    one_account(lab, home, protocol)
    lab.fill(user_of(home), [])
    result = home.run("test")
    shown = " ".join(result.out.split())
    for words in lab.offers[protocol]:
        assert words in shown, "%s is not in %r" % (words, result)


@case(servers=EVERY)
def unique_ids(lab, home):
    """They are kept as the server gave them, and found again when others have gone."""
    mail = messages.sample(12)
    user = one_account(lab, home, "pop3", mail)
    home.poll()
    pop3 = poplib.POP3_SSL(HOST, lab.ports["pop3s"], context=trusting(lab))
    pop3.user(user)
    pop3.pass_(SECRET)
    given = [line.decode().split(" ", 1)[1] for line in pop3.uidl()[1]]
    for number in (1, 5, 12):
        pop3.dele(number)
    pop3.quit()
    assert all(re.fullmatch(lab.unique_id, one) for one in given), given
    with contextlib.closing(sqlite3.connect(database(home))) as db:
        kept = [key for key, in db.execute("SELECT key FROM message")]
    assert sorted(kept) == sorted(given), (kept, given)
    more = messages.sample(3, first=101)
    lab.fill(user, more)
    home.poll()
    compare(mail + more, home.letters(), "pop3")
    assert len(lab.left(user)) == 12


@case(servers=EVERY)
def uids_last(lab, home):
    """Courier sorts by name what nobody has SELECTed: mail that comes later with an earlier name must
    not stand under the uid of known mail."""
    mail = messages.sample(5, first=501)
    user = one_account(lab, home, "imap", mail)
    home.poll()
    earlier = messages.sample(3, first=11)
    lab.fill(user, earlier)
    result = home.poll("-v")
    compare(mail + earlier, home.letters())
    assert "UIDVALIDITY" not in result.err, result


def ends_with_close_notify(lab, protocol, user):
    if protocol == "imap":
        imap = imaplib.IMAP4_SSL(HOST, lab.ports["imaps"], ssl_context=trusting(lab))
        imap.login(user, SECRET)
        imap.send(b"end LOGOUT\r\n")
        file = imap.file
    else:
        pop3 = poplib.POP3_SSL(HOST, lab.ports["pop3s"], context=trusting(lab))
        pop3.user(user)
        pop3.pass_(SECRET)
        pop3._putcmd("QUIT")
        file = pop3.file
    try:
        return file.read() != b""
    except ssl.SSLError as error:
        assert "EOF" in str(error), error
        return False


@case(servers=EVERY, each=PROTOCOLS)
def end_of_the_connection(lab, home, protocol):
    """With close_notify or without, a visit that was answered to the end went well."""
    mail = messages.sample(2)
    user = one_account(lab, home, protocol, mail, keep=False)
    assert ends_with_close_notify(lab, protocol, user) == lab.close_notify[protocol]
    result = home.poll("-v")
    compare(mail, home.letters(), protocol)
    nothing_left(lab, user)
    for word in ("warning", "close_notify", "closed"):
        assert word not in result.err, result


@case(servers=(Courier.server,))
def marking_only(lab, home):
    """Without UIDPLUS a message is marked, and never expunged, for others may have marked more."""
    mail = messages.sample(6)
    user = one_account(lab, home, "imap", mail, implicit=True, port=lab.ports["marking"], keep=False)
    for _ in range(2):
        home.poll()
        compare(mail, home.letters())
        marked = [name for name in lab.left(user) if "T" in name.partition(":2,")[2]]
        assert len(marked) == len(lab.left(user)) == 6, lab.left(user)


@case(servers=EVERY, each=PROTOCOLS)
def flights(lab, home, protocol):
    """A poll takes no more turns than are said, whatever the number of messages."""
    mail = messages.sample(30)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    with Proxy(HOST, lab.ports[protocol], 0.01) as proxy:
        home.configure({"box": home.account(user, protocol, auth="plain", port=proxy.port)})
        home.poll()
        assert proxy.flights[-1] <= lab.flights[protocol], proxy.flights
        more = messages.sample(20, first=1001)
        lab.fill(user, more)
        home.poll()
        assert proxy.flights[-1] <= lab.flights[protocol] + 6, proxy.flights
        assert len(proxy.flights) == 2, "more than one connection a poll"
    compare(mail + more, home.letters(), protocol)
