"""Several mailboxes of one IMAP account."""
import messages
from program import compare
from runner import case
from test_collect import user_of
from test_login import logins


@case(each=[("a Maildir each", "Mail/%{mailbox}"), ("one Maildir", "Mail/all")])
def several_mailboxes(lab, home, name, maildir):
    """In one connection; each into a Maildir of its own if the configuration says so."""
    user = user_of(home)
    names = ["INBOX", "Lists.users", "A folder"]
    mail = {folder: messages.sample(6, first=1000 * number + 1)
            for number, folder in enumerate(names)}
    for folder in names:
        lab.fill(user, mail[folder], None if folder == "INBOX" else folder)
    home.configure({"box": home.account(user, mailboxes=names, keep=False,
                                        deliver={"maildir": home.file(maildir)})})
    home.poll()
    assert len(logins(lab, user)) == 1, "more than one login"
    for folder in names:
        assert not lab.left(user, None if folder == "INBOX" else folder)
        if "%" in maildir:
            compare(mail[folder], home.letters("Mail/" + folder))
    if "%" not in maildir:
        compare([one for some in mail.values() for one in some], home.letters(maildir))
    lab.fill(user, messages.sample(2, first=9001), "Lists.users")
    home.poll()
    del name


@case()
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
