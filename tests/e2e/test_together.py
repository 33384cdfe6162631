"""Others at work at the same time: a second mailhaul, a mail reader, another host's mailhaul with the
same Maildir, another client of the same mailbox."""
import contextlib
import imaplib
import os
import random
import re
import signal
import ssl
import sys
import threading
import time

import lab as laboratory
import messages
from program import CRASH_BINARY, Home, Letter, compare, read_maildir, unfinished
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_disk import meanwhile
from test_mda import KEEP, mda_account

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fault"))
from server import ImapServer  # noqa: E402


# ---- a second mailhaul -------------------------------------------------------------------------------

@case(each=[(protocol, delivery) for protocol in PROTOCOLS for delivery in ("maildir", "mda")])
def polls_overlap(lab, home, protocol, delivery):
    """As from cron, when the one before is not over: each message comes once, and nobody complains."""
    mail = messages.sample(150 if delivery == "maildir" else 25)
    user = one_account(lab, home, protocol, mail, keep=False)
    if delivery == "mda":
        home.configure({"box": mda_account(home, user, KEEP, protocol, keep=False)})
    several = []
    for _ in range(5):
        several.append(home.start("poll"))
        time.sleep(0.06)
    for process in several:
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0 and not out + err, (process.returncode, out + err)
    home.poll()
    arrived = home.letters() if delivery == "maildir" else \
        [Letter(home.file("got", name)) for name in os.listdir(home.file("got"))]
    compare(mail, arrived, protocol)
    assert not lab.left(user)


# ---- a mail reader -----------------------------------------------------------------------------------

class Reader:
    """Reads, flags, renames, files away and deletes what comes into a Maildir. What it takes away
    stands in `kept`, so that it can be counted."""

    def __init__(self, maildir, kept, seed):
        self.maildir, self.kept, self.rnd = maildir, kept, random.Random(seed)
        for part in ("new", "cur", "tmp"):
            os.makedirs(os.path.join(kept, part), exist_ok=True)

    def work(self):
        for part in ("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(os.path.join(self.maildir, part)):
                    self.touch(part, name)
        time.sleep(0.002)

    def touch(self, part, name):
        base = re.split("[,:]", name)[0]
        to = self.rnd.choice([":2,S", ":2,FRS", ",S=123,W=125:2,S", ",U=7:2,", "away", "away", "rest"])
        if to == "rest":
            return
        target = os.path.join(self.kept, "new", base) if to == "away" else \
            os.path.join(self.maildir, "cur", base + to)
        os.rename(os.path.join(self.maildir, part, name), target)


def poll_killed(home, seconds):
    process = home.start("poll", "box")
    try:
        process.communicate(timeout=seconds)
    except Exception:
        process.kill()
        process.communicate()


@case(deadline=120, each=PROTOCOLS)
def a_reader_is_at_work_all_the_while(lab, home, protocol):
    """Mailhaul is killed at random moments besides: each message is seen once."""
    mail = messages.sample(240)
    user = one_account(lab, home, protocol, mail[:40], keep=False)
    reader = Reader(home.file("Maildir"), home.file("kept"), seed=7)
    rnd = random.Random(protocol)
    with meanwhile(reader.work):
        for part in range(40, 241, 40):
            poll_killed(home, rnd.uniform(0.05, 0.5))
            lab.fill(user, mail[part:part + 40])
        for _ in range(2):
            result = home.run("poll", "box")
            assert result.code == 0, result
    compare(mail, home.letters() + read_maildir(home.file("kept")), protocol)
    assert not lab.left(user) and not unfinished(home.file("Maildir"))


@case(each=[(protocol, point) for protocol in PROTOCOLS for point in (
    "maildir-place", "maildir-placed:2", "maildir-settled", "recover-placed:1")])
def a_reader_takes_it_between_crash_and_recovery(lab, home, protocol, point):
    mail = messages.sample(6)
    user = one_account(lab, home, protocol, mail, keep=False)
    binary, home.binary = home.binary, CRASH_BINARY
    for name in ("maildir-place", point) if point.startswith("recover") else (point,):
        result = home.run("poll", "box", env={"MAILHAUL_CRASH": name})
        assert result.code == -signal.SIGKILL, result
    home.binary = binary
    reader = Reader(home.file("Maildir"), home.file("kept"), seed=3)
    for name in os.listdir(home.file("Maildir", "new")):
        os.rename(home.file("Maildir", "new", name), home.file("kept", "new", name))
    with meanwhile(reader.work):
        for _ in range(2):
            result = home.run("poll", "box")
            assert result.code == 0, result
    compare(mail, home.letters() + read_maildir(home.file("kept")), protocol)
    assert not lab.left(user)


# ---- one Maildir for several -------------------------------------------------------------------------

def other_host(lab, home, user, **keys):
    """A mailhaul with a state of its own, and the same Maildir."""
    other = Home(lab, home.path + "-other")
    other.configure({"box": other.account(user, deliver={"maildir": home.file("Maildir")}, **keys)})
    return other


@case()
def two_hosts_share_a_maildir(lab, home):
    """What one left in tmp/ when it was killed is its own: the other neither removes nor takes it."""
    mine, theirs = messages.sample(8), messages.sample(8, first=101)
    user = one_account(lab, home, "imap", mine, keep=False)
    lab.fill(user + "-2", theirs)
    other = other_host(lab, home, user + "-2", keep=False)
    binary, home.binary = home.binary, CRASH_BINARY
    result = home.run("poll", "box", env={"MAILHAUL_CRASH": "maildir-place"})
    assert result.code == -signal.SIGKILL, result
    home.binary = binary
    left = sorted(unfinished(home.file("Maildir")))
    assert len(left) == 8
    for _ in range(2):
        other.poll()
    assert sorted(unfinished(home.file("Maildir"))) == left, "foreign letters were touched"
    compare(theirs, home.letters())
    home.poll()
    home.poll()
    compare(mine + theirs, home.letters())
    assert not lab.left(user) and not lab.left(user + "-2")


@case(deadline=120)
def two_hosts_and_two_accounts_at_once(lab, home):
    """All into one Maildir that does not exist yet, all killed again and again."""
    mail, users = {}, [user_of(home) + "-%d" % i for i in range(3)]
    for i, user in enumerate(users):
        mail[user] = messages.sample(80, first=1 + 1000 * i)
        lab.fill(user, mail[user])
    home.configure({"one": home.account(users[0], keep=False),
                    "two": home.account(users[1], "pop3", keep=False)})
    other = other_host(lab, home, users[2], keep=False)
    rnd = random.Random(11)
    for _ in range(4):
        several = [home.start("poll"), other.start("poll")]
        time.sleep(rnd.uniform(0.02, 0.4))
        for process in several:
            process.kill()
            process.communicate()
    for one in (home, other, home, other):
        result = one.run("poll")
        assert result.code == 0, result
    compare([one for user in users for one in mail[user]], home.letters())
    assert not any(lab.left(user) for user in users)
    assert not unfinished(home.file("Maildir"))


# ---- another client ----------------------------------------------------------------------------------

class Client:
    """A second IMAP client of the same mailbox."""

    def __init__(self, lab, user):
        self.imap = imaplib.IMAP4(laboratory.HOST, lab.ports["imap"])
        self.imap.starttls(ssl.create_default_context(cafile=lab.ca))
        self.imap.login(user, laboratory.SECRET)
        self.imap.select("INBOX")
        self.expunged = set()

    def numbers(self):
        """uid -> number of the message."""
        self.imap.noop()
        if self.imap.uid("SEARCH", "ALL")[1][0] == b"":
            return {}
        found = {}
        for part in self.imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(part, tuple):
                uid, number = re.search(rb"UID (\d+)", part[0]), re.search(rb"(\d+)", part[1])
                found[uid.group(1).decode()] = int(number.group(1))
        return found

    def flag(self, uids):
        self.imap.uid("STORE", ",".join(uids), "+FLAGS.SILENT", "(\\Deleted)")

    def expunge(self, uids, numbers):
        self.flag(uids)
        self.imap.uid("EXPUNGE", ",".join(uids))
        self.expunged |= {numbers[uid] for uid in uids}

    def append(self, mail):
        for one in mail:
            self.imap.append("INBOX", None, None, one.raw.replace(b"\n", b"\r\n"))

    def close(self):
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            self.imap.logout()


@case(deadline=120, each=PROTOCOLS)
def another_client_expunges_and_delivers(lab, home, protocol):
    """What it expunged may have come before; everything else comes once, and leaves the server."""
    mail, more = messages.sample(900), messages.sample(24, first=5001)
    user = one_account(lab, home, protocol, mail[:1], keep=False)
    home.poll()
    lab.fill(user, mail[1:])
    client, rnd = Client(lab, user), random.Random(5)
    known = client.numbers()
    order = sorted(known, key=int)
    late = iter(more)
    process = home.start("-v", "poll")
    while process.poll() is None and order:
        # The last ones, which are not fetched yet, the first, which are about to be removed.
        at = rnd.choice([0, len(order) // 2, -3])
        uids = order[at:][:2]
        order = [uid for uid in order if uid not in uids]
        client.expunge(uids, known)
        client.append([one for one in [next(late, None)] if one])
    _, said = process.communicate()
    assert process.returncode in (0, 75), (process.returncode, said)
    client.append(late)
    assert client.expunged, "it was over too soon"
    client.close()
    for _ in range(2):
        result = home.run("-v", "poll", "box")
        assert result.code == 0, result
    arrived = home.letters()
    came = {letter.message for letter in arrived}
    compare([one for one in mail + more
             if one.number not in client.expunged or one.raw in came], arrived, protocol)
    # Dovecot answers UID EXPUNGE with OK, and may leave what it marked before while another client
    # expunges.
    assert all("T" in name.partition(":2,")[2] for name in lab.left(user)), lab.left(user)


@case(each=PROTOCOLS)
def another_client_works_between_two_visits(lab, home, protocol):
    """Sequence numbers move, uids stay: what keep: false removes is what was delivered."""
    mail, more = messages.sample(10), messages.sample(4, first=101)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    client = Client(lab, user)
    numbers = client.numbers()
    gone = [uid for uid, number in numbers.items() if number in (1, 2, 5)]
    client.expunge(gone, numbers)
    client.append(more)
    client.close()
    home.configure({"box": home.account(user, protocol, keep=False)})
    home.poll()
    compare(mail + more, home.letters(), protocol)
    home.poll()
    assert not lab.left(user)


@case()
def what_another_client_marks_deleted_is_not_expunged(lab, home):
    """UID EXPUNGE names what is ours: a quarantined message that somebody marked \\Deleted stays."""
    mail = messages.sample(5)
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": mda_account(
        home, user, 'f=$(mktemp "$HOME/got/XXXXXX"); cat >"$f"\n'
        'grep -q "^Subject: message 3$" "$f" && exit 67; exit 0\n', keep=False, max_attempts=1)})
    home.poll(code=65)
    client = Client(lab, user)
    numbers = client.numbers()
    assert set(numbers.values()) == {3}, numbers
    client.flag(list(numbers))
    client.close()
    lab.fill(user, messages.sample(3, first=11))
    for _ in range(2):
        home.poll()
    left = lab.left(user)
    assert len(left) == 1 and "T" in left[0].partition(":2,")[2], left


class Shifting(ImapServer):
    """Another client expunges in the middle of each FETCH, so that all sequence numbers move, and
    delivers what gets their numbers."""

    def __init__(self, *args):
        super().__init__(*args)
        self.foreign, self.late, self.stored = set(), {}, []

    def on_fetch(self, wire, fill, rest):
        match = re.match(r"UID FETCH (\S+) (.*)", rest, re.I)
        if not match or "[]" not in match.group(2):
            super().on_fetch(wire, fill, rest)
            return
        alive, wanted = sorted(self.messages), match.group(2).upper()
        for uid in self.uids(match.group(1)):
            if uid % 3 == 0 and uid in alive:
                self.disturb(wire, alive, uid - 2)
                self.disturb(wire, alive, uid + 2)
            if uid in alive:
                wire.send(b"* %d FETCH (%s)\r\n" % (alive.index(uid) + 1, self.items(uid, wanted)))
        for uid, octets in self.late.items():
            self.messages[uid] = octets
        wire.send(b"* %d EXISTS\r\n%s OK done\r\n" % (len(self.messages), fill["tag"].encode()))
        self.late = {}

    def disturb(self, wire, alive, uid):
        if uid in alive:
            wire.send(b"* %d EXPUNGE\r\n" % (alive.index(uid) + 1))
            alive.remove(uid)
            self.messages.pop(uid)
            self.foreign.add(uid)

    def on_store(self, wire, fill, rest):
        self.stored += self.uids(rest.split(" ")[2])
        super().on_store(wire, fill, rest)


@case()
def a_foreign_expunge_moves_all_numbers(lab, home):
    """Only what was delivered is marked and expunged, by its uid."""
    mail, more = messages.sample(12), messages.sample(3, first=13)
    raw = {one.number: one.raw.replace(b"\n", b"\r\n") for one in mail + more}
    with Shifting(lab.certificates, [raw[one.number] for one in mail]) as server:
        server.late = {one.number: raw[one.number] for one in more}
        home.configure({"box": home.account("x", port=server.port, keep=False)})
        home.poll()
        arrived = home.letters()
        came = {one.number for one in mail if one.raw in {letter.message for letter in arrived}}
        compare([one for one in mail if one.number in came], arrived)
        assert server.foreign and set(range(1, 13)) - server.foreign <= came, came
        assert set(server.stored) <= came, "marked and not delivered: %s" % server.stored
        assert set(server.messages) == {13, 14, 15}, set(server.messages)
        home.poll()
        home.poll()
        compare([one for one in mail + more if one.number in came | {13, 14, 15}], home.letters())
        assert not server.messages
