"""Mail comes from both protocols, over both kinds of TLS, into every delivery, octet by octet."""
import os
import subprocess

import messages
from lab import SECRET, wait_for
from program import compare, unfinished
from runner import EVERY, OTHERS, case

DELIVERIES = ("maildir", "exim", "procmail", "maildrop", "dovecot_lda")
PATHS = [(protocol, tls, delivery) for protocol in ("imap", "pop3")
         for tls in ("starttls", "implicit") for delivery in DELIVERIES]
PROTOCOLS = ("imap", "pop3")


def user_of(home):
    return os.path.basename(home.path)


def deliver_by(lab, home, delivery):
    if delivery == "maildir":
        return {"maildir": home.file("Maildir")}
    return {"mda": getattr(lab, delivery)(home.path, home.file("Maildir"))}


def one_account(lab, home, protocol="imap", mail=(), **keys):
    """A mailbox with this mail, and a configuration with one account for it."""
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": home.account(user, protocol, **keys)})
    return user


def nothing_left(lab, user):
    """Courier's POP3 answers QUIT, and then removes."""
    wait_for(lambda: not lab.left(user), 10, "left on the server: %s" % lab.left(user))


@case(servers=OTHERS, each=[path for path in PATHS if path[2] in ("maildir", "procmail")])
@case(each=PATHS)
def collect(lab, home, protocol, tls, delivery):
    mail = messages.sample(48)
    if delivery == "maildir":
        mail += messages.odd()
    user = one_account(lab, home, protocol, mail, implicit=tls == "implicit",
                       deliver=deliver_by(lab, home, delivery))
    result = home.poll()
    assert (result.out, result.err) == ("", ""), "a poll that went well printed: %r" % result
    mail = lab.served(mail)
    compare(mail, home.letters(), protocol)
    assert not unfinished(home.file("Maildir")), "files were left in tmp/"
    assert len(lab.left(user)) == len(mail), "keep: true removed mail"
    if protocol == "imap":
        assert not lab.seen(user), "\\Seen was set"

    home.poll()
    compare(mail, home.letters(), protocol)
    more = messages.sample(5, first=5001)
    lab.fill(user, more)
    home.poll()
    compare(mail + more, home.letters(), protocol)


@case(servers=EVERY, each=[(protocol, delivery) for protocol in PROTOCOLS
                           for delivery in ("maildir", "maildrop")])
def keep_false(lab, home, protocol, delivery):
    mail = messages.sample(60)
    user = one_account(lab, home, protocol, mail, keep=False,
                       deliver=deliver_by(lab, home, delivery))
    for _ in range(2):
        home.poll()
        compare(mail, home.letters(), protocol)
        nothing_left(lab, user)


@case(servers=EVERY, each=PROTOCOLS)
def keep_true_then_false(lab, home, protocol):
    mail = messages.sample(20)
    user = one_account(lab, home, protocol, mail)
    home.poll()
    assert len(lab.left(user)) == 20
    home.configure({"box": home.account(user, protocol, keep=False)})
    home.poll()
    nothing_left(lab, user)
    home.poll()
    compare(mail, home.letters(), protocol)


@case(servers=EVERY, each=PROTOCOLS)
def nothing_there(lab, home, protocol):
    one_account(lab, home, protocol)
    lab.fill(user_of(home), [])
    result = home.poll()
    assert result.out + result.err == ""
    assert not home.letters()


@case(servers=OTHERS, each=[(protocol, 300) for protocol in PROTOCOLS])
@case(deadline=120, each=[(protocol, 2000) for protocol in PROTOCOLS])
def many(lab, home, protocol, count):
    mail = messages.sample(count)
    one_account(lab, home, protocol, mail)
    home.poll(timeout=100)
    compare(mail, home.letters(), protocol)


@case(servers=EVERY, each=PROTOCOLS)
def large(lab, home, protocol):
    mail = [messages.large(20_000_000)] + messages.sample(3, first=2)
    one_account(lab, home, protocol, mail)
    home.poll()
    compare(mail, home.letters(), protocol)


@case()
def lines_we_add(lab, home):
    mail = messages.sample(3)
    user = one_account(lab, home, "imap", mail)
    home.poll()
    for letter in home.letters():
        for word in ("127.0.0.2", user, "TLS", "AES"):
            assert word in letter.ours or word == "AES" and "CHACHA" in letter.ours, \
                "%r is not in %r" % (word, letter.ours)
        assert SECRET not in letter.ours
    assert len({letter.id for letter in home.letters()}) == 3, "ids are not different"


@case()
def id_stays_the_same(lab, home):
    """A message that is delivered again has the same X-Mailhaul-Id."""
    mail = messages.sample(5)
    one_account(lab, home, "imap", mail)
    home.poll()
    first = {letter.message: letter.id for letter in home.letters()}
    subprocess.run(["rm", "-rf", home.file("state"), home.file("Maildir")], check=True)
    home.poll()
    assert first == {letter.message: letter.id for letter in home.letters()}


@case(servers=EVERY)
def file_time_is_internaldate(lab, home):
    mail = messages.sample(20)
    one_account(lab, home, "imap", mail)
    home.poll()
    want = {one.raw: one.date for one in mail}
    for letter in home.letters():
        assert letter.mtime == want[letter.message], "%d is not INTERNALDATE" % letter.mtime


@case()
def files_are_private(lab, home):
    one_account(lab, home, "imap", messages.sample(2))
    home.poll()
    for top in ("Maildir", "state"):
        for path, _, names in os.walk(home.file(top)):
            for name in names:
                mode = os.stat(os.path.join(path, name)).st_mode
                assert mode & 0o077 == 0, "%s is readable by others: %o" % (name, mode)


@case()
def mutt_opens_it(lab, home):
    mail = messages.sample(30)
    one_account(lab, home, "imap", mail)
    home.poll()
    home.write("muttrc", "set status_format='sees %%m messages'\nset folder=%s\n"
               "push '<enter-command>set status_on_top<enter><exit>'\n" % home.path)
    home.argv = lambda *args: ["/usr/bin/mutt", *args]
    shown = home.on_terminal("-n", "-F", home.file("muttrc"), "-f", home.file("Maildir"),
                             timeout=20)
    assert "sees 30 messages" in shown.out, "mutt showed %r" % shown.out[-600:]


@case(each=PROTOCOLS)
def accounts_at_the_same_time(lab, home, protocol):
    """Four accounts whose secrets each take two seconds."""
    slow = home.script("slow", "sleep 2; cat %s\n" % home.write("secret", SECRET))
    accounts, mail = {}, {}
    for i in range(4):
        user = "%s-%d" % (user_of(home), i)
        mail[i] = messages.sample(10, first=1 + 100 * i)
        lab.fill(user, mail[i])
        accounts["a%d" % i] = home.account(user, protocol, password=None,
                                           password_command=[slow],
                                           deliver={"maildir": home.file("M%d" % i)})
    home.configure(accounts)
    result = home.poll()
    for i in range(4):
        compare(mail[i], home.letters("M%d" % i), protocol)
    assert result.seconds < 5, "one after another: %.1f s" % result.seconds


@case()
def one_account_fails_the_others_go_on(lab, home):
    user = user_of(home)
    mail = messages.sample(10)
    lab.fill(user, mail)
    home.configure({
        "bad": home.account("bad", password="wrong", deliver={"maildir": home.file("none")}),
        "good": home.account(user),
        "pop": home.account(user, "pop3", deliver={"maildir": home.file("pop")}),
        "gone": home.account("gone", port=1, deliver={"maildir": home.file("none")})})
    home.poll(code=77)
    compare(mail, home.letters())
    compare(mail, home.letters("pop"), "pop3")
    result = home.run("poll", "good")
    assert result.code == 0, result


@case()
def two_polls_at_once(lab, home):
    mail = messages.sample(400)
    one_account(lab, home, "imap", mail)
    several = [home.start("poll") for _ in range(3)]
    for process in several:
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, (process.returncode, err)
        assert out + err == b"", "an overlapping poll printed %r" % (out + err)
    compare(mail, home.letters())


@case()
def one_maildir_for_two_accounts(lab, home):
    user = user_of(home)
    first, second = messages.sample(40), messages.sample(40, first=1001)
    lab.fill(user + "-1", first)
    lab.fill(user + "-2", second)
    home.configure({"one": home.account(user + "-1"), "two": home.account(user + "-2")})
    home.poll()
    compare(first + second, home.letters())


@case(servers=EVERY)
def renamed_account_and_other_port(lab, home):
    """The state knows protocol, user, host and mailbox: a name or a port changes nothing."""
    mail = messages.sample(10)
    user = one_account(lab, home, "imap", mail)
    home.poll()
    home.configure({"renamed": home.account(user, implicit=True)})
    home.poll()
    compare(mail, home.letters())


@case()
def a_reader_moves_mail(lab, home):
    """What was read, refiled or deleted locally is not fetched again."""
    mail = messages.sample(12)
    one_account(lab, home, "imap", mail)
    home.poll()
    new = home.file("Maildir", "new")
    names = sorted(os.listdir(new))
    for name in names[:4]:
        os.rename(os.path.join(new, name), home.file("Maildir", "cur", name + ":2,S"))
    for name in names[4:]:
        os.remove(os.path.join(new, name))
    home.poll()
    assert len(home.letters()) == 4


@case(servers=OTHERS, each=["Renewed"])
@case(each=[None])
def uidvalidity_changes(lab, home, folder):
    """The server renumbers everything: nothing that was delivered comes again."""
    user = user_of(home)
    mail = messages.sample(20)
    lab.fill(user, mail, folder)
    home.configure({"box": home.account(
        user, mailboxes=[folder] if folder else None)})
    home.poll()
    lab.renumber(user, folder)
    more = messages.sample(3, first=3001)
    lab.fill(user, more, folder)
    home.poll()
    compare(mail + more, home.letters())
