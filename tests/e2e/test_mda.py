"""What an MDA's end means; that it gets whole letters; and that strangers write none of its argv."""
import os
import re

import messages
from program import OURS, as_delivered, compare, read_maildir
from runner import case
from test_collect import PROTOCOLS, user_of

TEMPORARY = {"75": "exit 75", "1": "exit 1", "73": "exit 73", "66": "exit 66", "255": "exit 255",
             "KILL": "kill -9 $$", "TERM": "kill -15 $$", "SEGV": "kill -11 $$"}
ATTEMPT = ("64", "65", "67", "68", "69", "76", "77")
BROKEN = ("78", "126", "127")

# Keeps what it reads, one file each.
KEEP = 'f=$(mktemp "$HOME/got/XXXXXX") && cat >"$f"\n'


def mda_account(home, user, script, protocol="imap", argv=(), **keys):
    os.makedirs(home.file("got"), exist_ok=True)
    path = home.script("mda", script)
    return home.account(user, protocol, deliver={
        "mda": [path, *argv], **{key: keys.pop(key) for key in list(keys) if key.startswith("mda")}},
        **keys)


def set_up(lab, home, script, mail, **keys):
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": mda_account(home, user, script, **keys)})
    return user


def got(home):
    """What the script kept: the messages without our lines."""
    found = []
    for name in sorted(os.listdir(home.file("got"))):
        with open(home.file("got", name), "rb") as file:
            raw = file.read()
        found.append(raw[OURS.search(raw).end():] if OURS.search(raw) else raw)
    return found


def spool(home):
    """Letters that wait, anywhere below the state."""
    return [os.path.join(path, name) for path, _, names in os.walk(home.file("state"))
            for name in names if "spool" in os.path.relpath(path, home.file("state"))]


def bodies_sent(lab, user):
    """How many messages Dovecot sent to this user in all sessions so far."""
    return sum(int(count) for line in lab.log().splitlines() if "(%s)" % user in line
               for count in re.findall(r"(?:body_count=|retr=)(\d+)", line))


@case(each=PROTOCOLS)
def delivered(lab, home, protocol):
    mail = messages.sample(30)
    user = set_up(lab, home, KEEP, mail, protocol=protocol, keep=False)
    home.poll()
    assert sorted(got(home)) == sorted(one.raw for one in mail)
    assert not lab.left(user)
    assert not spool(home), "letters were left: %s" % spool(home)


@case(each=[(protocol, name) for protocol in PROTOCOLS for name in TEMPORARY])
def temporary(lab, home, protocol, name):
    """The letter waits in the spool; it is not fetched again, and it is delivered later."""
    mail = messages.sample(4)
    user = set_up(lab, home, "cat >/dev/null; %s\n" % TEMPORARY[name], mail, protocol=protocol,
                  keep=False)
    home.poll(code=75)
    assert len(lab.left(user)) == 4, "removed, and not delivered"
    assert len(spool(home)) >= 4, "nothing waits"
    home.configure({"box": mda_account(home, user, KEEP, protocol, keep=False)})
    result = home.run("poll", "box")
    assert result.code == 0, result
    assert sorted(got(home)) == sorted(one.raw for one in mail)
    assert bodies_sent(lab, user) == 4, "fetched again"
    home.run("poll", "box")
    assert not lab.left(user) and len(got(home)) == 4


@case(each=ATTEMPT)
def attempt(lab, home, code):
    """Tried max_attempts times, then quarantined: reported, and kept on the server."""
    mail = messages.sample(1)
    user = set_up(lab, home, "cat >/dev/null; echo no such user >&2; exit %s\n" % code, mail,
                  keep=False, max_attempts=1)
    result = home.poll(code=65)
    assert "no such user" in result.err, result
    compare(mail, read_maildir(home.file("state", "quarantine")))
    assert len(lab.left(user)) == 1
    assert home.run("poll").code == 0, "quarantined before this run"
    assert len(lab.left(user)) == 1
    compare(mail, read_maildir(home.file("state", "quarantine")))


@case()
def attempts_are_counted(lab, home):
    mail = messages.sample(2)
    set_up(lab, home, "cat >/dev/null; echo x >>$HOME/tries; exit 67\n", mail, max_attempts=3)
    codes = [home.run("poll", "box").code for _ in range(4)]
    assert codes[2] == 65 and codes[0] == codes[1] == 75 and codes[3] == 0, codes
    with open(home.file("tries")) as file:
        assert len(file.readlines()) == 6
    compare(mail, read_maildir(home.file("state", "quarantine")))


@case(each=BROKEN)
def broken(lab, home, code):
    """The set-up is broken: the account stops and says so; the others go on."""
    user = user_of(home)
    mail = messages.sample(6)
    lab.fill(user, mail)
    home.configure({
        "box": mda_account(home, user, "cat >/dev/null; echo x >>$HOME/tries; exit %s\n" % code,
                           keep=False),
        "other": home.account(user, "pop3")})
    result = home.poll(code=78)
    assert "box" in result.err and code in result.err, result
    with open(home.file("tries")) as file:
        assert len(file.readlines()) == 1, "it did not stop"
    assert len(lab.left(user)) == 6
    compare(mail, home.letters(), "pop3")


@case()
def mda_missing(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    home.configure({"box": home.account(user, deliver={"mda": ["/nonexistent/mda"]})})
    result = home.poll(code=78)
    assert "/nonexistent/mda" in result.err, result


@case()
def mda_not_executable(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    home.configure({"box": home.account(user, deliver={"mda": [home.write("mda", "x")]})})
    home.poll(code=78)


@case()
def hangs(lab, home):
    mail = messages.sample(1)
    set_up(lab, home, "cat >/dev/null; sleep 100\n", mail, mda_timeout="2s")
    result = home.poll(code=75)
    assert 1.5 < result.seconds < 15, result
    assert len(spool(home)) >= 1


@case()
def hangs_without_reading(lab, home):
    set_up(lab, home, "sleep 100\n", [messages.large(1_000_000)], mda_timeout="2s")
    result = home.poll(code=75)
    assert result.seconds < 15, result


@case(each=[("small", 1000), ("large", 1_000_000)])
def exits_0_without_reading(lab, home, name, octets):
    """Exit 0 proves nothing where the letter was not read."""
    user = set_up(lab, home, "exit 0\n", [messages.large(octets)], keep=False, max_attempts=1)
    home.poll(code=65)
    assert len(lab.left(user)) == 1
    del name


@case()
def exits_0_after_half(lab, home):
    user = set_up(lab, home, "head -c 3000 >/dev/null; exit 0\n", [messages.large(100_000)],
                  keep=False, max_attempts=1)
    home.poll(code=65)
    assert len(lab.left(user)) == 1


@case(each=[("small", 1000), ("large", 1_000_000)])
def closes_its_input_early(lab, home, name, octets):
    """And works on: what its exit code says decides, and 0 says nothing."""
    mail = messages.large(octets)
    user = set_up(lab, home, "read -r line; exec <&-; sleep 0.3; exit $(cat $HOME/code)\n", [mail],
                  keep=False, max_attempts=2)
    home.write("code", "75")
    result = home.poll("-v", code=75)
    assert "exit code 75" in result.err, result
    home.write("code", "0")
    result = home.run("-v", "poll", "box")
    assert result.code == 75 and "unread" in result.err and "attempt 1 of 2" in result.err, result
    home.write("code", "67")
    assert home.run("poll", "box").code == 65 and len(lab.left(user)) == 1
    compare([mail], read_maildir(home.file("state", "quarantine")))
    del name


@case(each=[("delivered", "cat >/dev/null", 0, 0), ("unread", ":", 65, 2)])
def grandchildren_hold_the_pipes(lab, home, name, reads, code, left):
    """A program that goes into the background keeps nobody waiting, and decides nothing."""
    user = set_up(lab, home, "(sleep 50; echo late >&2) &\n%s; exit 0\n" % reads,
                  messages.sample(2), keep=False, max_attempts=1)
    result = home.poll(code=code)
    assert result.seconds < 15, result
    assert len(lab.left(user)) == left
    del name


@case()
def prints_megabytes(lab, home):
    """On both outputs, and delivers: it is not held up, and nobody is told."""
    mail = messages.sample(3)
    user = set_up(lab, home, KEEP + 'head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2\n',
                  mail, keep=False)
    result = home.poll()
    assert not result.out + result.err and not lab.left(user), result
    assert sorted(got(home)) == sorted(one.raw for one in mail)


@case(each=PROTOCOLS)
def not_there_for_a_while(lab, home, protocol):
    """Once it is back, what waits in the spool is delivered; nothing is fetched again."""
    mail = messages.sample(4)
    user = set_up(lab, home, KEEP, mail, protocol=protocol, keep=False)
    os.rename(home.file("mda"), home.file("elsewhere"))
    for _ in range(2):
        result = home.run("poll", "box")
        assert result.code == 78, result
    os.rename(home.file("elsewhere"), home.file("mda"))
    home.run("poll", "box")
    home.poll()
    assert sorted(got(home)) == sorted(one.raw for one in mail)
    assert bodies_sent(lab, user) == 4, "fetched again"
    assert not lab.left(user) and not spool(home)


@case()
def may_skip_input(lab, home):
    user = set_up(lab, home, "exit 0\n", [messages.large(200_000)], keep=False,
                  mda_may_skip_input=True)
    home.poll()
    assert not lab.left(user)


@case(each=PROTOCOLS)
def one_bad_letter_holds_up_nobody(lab, home, protocol):
    mail = messages.sample(20)
    user = set_up(lab, home, 'f=$(mktemp "$HOME/got/XXXXXX"); cat >"$f"\n'
                  'grep -q "^Subject: message 7$" "$f" && { rm "$f"; exit 75; }; exit 0\n', mail,
                  protocol=protocol, keep=False)
    home.poll(code=75)
    assert sorted(got(home)) == sorted(one.raw for one in mail if one.number != 7)
    home.run("poll")
    assert len(lab.left(user)) == 1, "only what was not delivered stays: %s" % lab.left(user)


@case(each=PROTOCOLS)
def bad_letters_of_every_kind_hold_up_nobody(lab, home, protocol):
    mail = messages.sample(20)
    ends = {2: "exit 75", 4: "exit 67", 6: "kill -9 $$", 8: "sleep 100", 10: "exit 1", 12: "exit 65"}
    user = set_up(lab, home, 'f=$(mktemp "$HOME/got/XXXXXX"); cat >"$f"\n'
                  'n=$(sed -n "s/^Subject: message //p" "$f"); case $n in\n%s'
                  '14) rm "$f"; f=;; esac\n' % "".join(
                      '%d) rm "$f"; %s;;\n' % end for end in ends.items()) +
                  '[ "$f" ] || exit 70\n', mail, protocol=protocol, keep=False, max_attempts=1,
                  mda_timeout="1s")
    result = home.poll(code=65)
    good = [one for one in mail if one.number not in ends and one.number != 14]
    assert sorted(got(home)) == sorted(one.raw for one in good)
    assert "2 messages went into the quarantine" in result.err, result
    compare([one for one in mail if one.number in (4, 12)],
            read_maildir(home.file("state", "quarantine")), protocol)
    assert len(spool(home)) == 5
    home.run("poll", "box")
    assert len(lab.left(user)) == 7


@case()
def stderr_is_shown_made_visible(lab, home):
    set_up(lab, home, "cat >/dev/null; printf 'quota \\033[31mexceeded\\007' >&2; exit 67\n",
           messages.sample(1), max_attempts=1)
    result = home.run("poll")
    assert "quota" in result.err and "exceeded" in result.err, result
    assert "\033" not in result.err and "\007" not in result.err, result


@case()
def stderr_floods(lab, home):
    set_up(lab, home, "cat >/dev/null; head -c 20000000 /dev/zero | tr '\\0' y >&2; exit 67\n",
           messages.sample(1), max_attempts=1)
    assert len(home.run("poll").err) < 20000


@case()
def strangers_write_no_argument(lab, home):
    """Return-Path is a stranger's: it becomes one argument if it is an address, else nothing."""
    senders = {b"<fine@strangers.test>": "fine@strangers.test", b"<>": "", b"<-oQ/tmp/x@y>": "",
               b"-oX": "", b"<a b@c>": "", b"<x@y> <z@w>": "", b"<\"-f\"@y>": '"-f"@y',
               b"<$(id)@y.test>": None, b"<x@y\n\t>": None, b"<" + b"a" * 300 + b"@y>": ""}
    mail = []
    for number, sender in enumerate(senders, 1):
        mail.append(messages.Message(number, "sender", b"Return-Path: %s\nSubject: %d\n\nx\n" % (
            sender, number), messages.EPOCH + number))
    user = set_up(lab, home, 'n=$(sed -n "s/^Subject: //p"); '
                  'for a; do printf "%s\\n" "$a"; done >$HOME/got/$n\n',
                  mail, argv=["-f", "%{sender}", "--from=%{sender}", "--",
                              "%{account}/%{mailbox}/%{user}", "%{uid}", "100%"])
    home.poll()
    for number, (sender, want) in enumerate(senders.items(), 1):
        with open(home.file("got", str(number))) as file:
            lines = file.read().split("\n")[:-1]
        assert len(lines) == 7, "%r became %r" % (sender, lines)
        assert lines[0] == "-f" and lines[3] == "--" and lines[6] == "100%", lines
        assert lines[4] == "box/INBOX/" + user, lines
        assert lines[5].isdigit(), lines
        assert lines[2] == "--from=" + lines[1], lines
        assert not lines[1].startswith("-"), "%r became the option %r" % (sender, lines[1])
        assert want is None or lines[1] == want, "%r became %r" % (sender, lines[1])


@case()
def in_order_and_one_at_a_time(lab, home):
    """Deliveries of one account follow each other in the mailbox's order."""
    mail = messages.sample(15)
    set_up(lab, home, 'mkdir "$HOME/lock" || { echo overlap >>"$HOME/overlap"; }\n'
           'sed -n "s/^Subject: message //p" >>"$HOME/order"\nrmdir "$HOME/lock"\n', mail)
    home.poll()
    assert not os.path.exists(home.file("overlap")), "two at once"
    with open(home.file("order")) as file:
        order = [int(line) for line in file]
    assert order == [one.number for one in mail], order


@case()
def of_different_accounts_at_the_same_time(lab, home):
    user = user_of(home)
    accounts = {}
    for i in range(3):
        lab.fill("%s-%d" % (user, i), messages.sample(1))
        accounts["a%d" % i] = mda_account(home, "%s-%d" % (user, i), "cat >/dev/null; sleep 2\n")
    home.configure(accounts)
    result = home.poll()
    assert result.seconds < 5, "one after another: %.1f s" % result.seconds


@case()
def unknown_exim_configuration(lab, home):
    """A real exim that cannot work: nothing is taken for delivered."""
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    argv = lab.exim(home.path, home.file("Maildir"))
    os.remove(home.file("exim.conf"))
    home.configure({"box": home.account(user, deliver={"mda": argv}, keep=False)})
    home.poll(code=75)
    assert len(lab.left(user)) == 2


@case()
def maildrop_without_its_filter(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    argv = lab.maildrop(home.path, home.file("Maildir"))
    os.remove(home.file("mailfilter"))
    home.configure({"box": home.account(user, deliver={"mda": argv}, keep=False)})
    home.poll(code=75)
    assert len(lab.left(user)) == 2


@case(each=PROTOCOLS)
def the_spool_vanishes(lab, home, protocol):
    """A letter that waited and is nowhere is fetched again, also where listings begin behind it."""
    mail = messages.sample(4)
    script = "cat >/dev/null; exit 75\n"
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": mda_account(home, user, script, protocol)})
    home.poll(code=75)
    assert len(spool(home)) == 4
    more = messages.sample(1, first=2001)
    lab.fill(user, more)
    for path in spool(home):
        os.unlink(path)
    home.configure({"box": mda_account(home, user, KEEP, protocol)})
    home.poll()
    assert sorted(got(home)) == sorted(as_delivered(one, protocol) for one in mail + more)


@case(each=PROTOCOLS)
def from_an_mda_to_a_maildir(lab, home, protocol):
    """What no MDA has seen yet when the delivery changes comes into the Maildir."""
    mail = messages.sample(4)
    script = "cat >/dev/null; exit 78\n"
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": mda_account(home, user, script, protocol, keep=False)})
    home.poll(code=78)
    assert len(spool(home)) == 4
    home.configure({"box": home.account(user, protocol, keep=False)})
    home.poll()
    compare(mail, home.letters(), protocol)
