"""Several mailboxes of one IMAP account."""
import messages
from program import compare
from runner import EVERY, case
from test_collect import user_of


@case(servers=EVERY, each=[("a Maildir each", "Mail/%{mailbox}"), ("one Maildir", "Mail/all")])
def several_mailboxes(lab, home, _, maildir):
    """In one connection; each into a Maildir of its own if the configuration says so."""
    user = user_of(home)
    names = [None, "Lists.users", "A folder"]
    shown = {name: lab.folder(*name.split(".")) if name else "INBOX" for name in names}
    mail = {name: messages.sample(6, first=1000 * number + 1)
            for number, name in enumerate(names)}
    for name in names:
        lab.fill(user, mail[name], name)
    home.configure({"box": home.account(user, mailboxes=list(shown.values()), keep=False,
                                        deliver={"maildir": home.file(maildir)})})
    home.poll()
    assert len(lab.logins(user)) == 1, "more than one login"
    for name in names:
        assert not lab.left(user, name)
        if "%" in maildir:
            directory = "Mail/" + shown[name].replace(".", "%2E")
            compare(mail[name], home.letters(directory))
    if "%" not in maildir:
        compare([one for some in mail.values() for one in some], home.letters(maildir))
    lab.fill(user, messages.sample(2, first=9001), "Lists.users")
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
