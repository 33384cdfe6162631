"""Authentication, and where secrets come from."""
import base64
import os
import time

import messages
from lab import HASHED_SECRET, SECRET
from program import compare
from runner import EVERY, case
from test_collect import PROTOCOLS, one_account, user_of

MECHANISMS = ("auto", "plain", "PLAIN", "login", "scram-sha-1", "SCRAM-SHA-256", "login-command")
LOGGED = {"auto": "SCRAM-SHA-256", "login-command": "PLAIN"}


def logins(lab, user):
    """The logins of the user, as the server saw them."""
    return lab.logins(user)


def refusals(lab, user):
    """How often Dovecot refused the user's password. It writes its log when the connection is over:
    the count is given once it stays the same."""
    before, count = -1, 0
    while count != before:
        time.sleep(0.5)
        before, count = count, sum(
            1 for line in lab.log().splitlines()
            if "auth" in line and "user=<%s>" % user in line and "Login:" not in line)
    return count


@case(each=[(protocol, name) for protocol in PROTOCOLS for name in MECHANISMS])
def mechanism(lab, home, protocol, name):
    mail = messages.sample(3)
    user = one_account(lab, home, protocol, mail, auth=name)
    result = home.poll("-v")
    compare(mail, home.letters(), protocol)
    assert logins(lab, user) == [LOGGED.get(name, name.upper())], logins(lab, user)
    home.log_shows_no_secret(result)


@case(servers=EVERY, each=PROTOCOLS)
def trace_cuts_secrets(lab, home, protocol):
    for name in lab.mechanisms + ("login-command",):
        user = one_account(lab, home, protocol, auth=name)
        lab.fill(user, [])
        result = home.poll("--trace")
        shown = result.out + result.err
        assert "C: " in shown and "S: " in shown, "no dialogue: %r" % result
        for secret in (SECRET, base64.b64encode(SECRET.encode()).decode(),
                       base64.b64encode(b"\0%s\0%s" % (user.encode(), SECRET.encode())).decode()):
            assert secret not in shown, "%s: a secret was traced" % name


@case(servers=EVERY, each=PROTOCOLS)
def wrong_password(lab, home, protocol):
    user = one_account(lab, home, protocol, messages.sample(1), password="wr0ng-secret")
    result = home.poll(code=77)
    assert "box" in result.err, result
    assert "wr0ng-secret" not in result.out + result.err
    assert not os.path.exists(home.file("Maildir")) or not home.letters()
    assert not logins(lab, user)


@case(each=PROTOCOLS)
def refused_password_is_not_hammered(lab, home, protocol):
    """A refused login is tried once an hour at most; naming the account tries at once."""
    user = one_account(lab, home, protocol, messages.sample(1), password="wr0ng-secret")
    home.poll(code=77)
    once = refusals(lab, user)
    home.poll(code=77)
    assert refusals(lab, user) == once, "the server was asked again"
    result = home.run("poll", "box")
    assert result.code == 77, result
    assert refusals(lab, user) > once, "naming the account did not try"


@case(each=PROTOCOLS)
def hashed_on_the_server(lab, home, protocol):
    """The server offers SCRAM and cannot do it: auto falls back to PLAIN, and a named mechanism
    does not."""
    lab.fill("hashed", messages.sample(2))
    home.configure({"box": home.account("hashed", protocol, password=HASHED_SECRET)})
    home.poll()
    assert len(home.letters()) == 2
    home.configure({"box": home.account("hashed", protocol, password=HASHED_SECRET,
                                        auth="scram-sha-256")})
    result = home.run("poll", "box")
    assert result.code == 77, result


@case(servers=("dovecot", "courier"))
def mechanism_not_offered(lab, home):
    name = "SCRAM-SHA-256" if "CRAM-MD5" in lab.mechanisms else "CRAM-MD5"
    one_account(lab, home, "imap", messages.sample(1), auth=name.lower())
    result = home.poll(code=77)
    assert name in result.err.upper(), result


@case()
def password_file(lab, home):
    mail = messages.sample(1)
    path = home.write("secret", SECRET + "\n")
    one_account(lab, home, "imap", mail, password=None, password_file=path)
    home.poll()
    compare(mail, home.letters())


@case()
def password_file_missing(lab, home):
    one_account(lab, home, "imap", password=None, password_file=home.file("nowhere"))
    result = home.run("poll")
    assert result.code in (77, 78), result
    assert "nowhere" in result.err, result


@case()
def password_file_others_can_read(lab, home):
    path = home.write("secret", SECRET + "\n", 0o644)
    one_account(lab, home, "imap", password=None, password_file=path)
    result = home.run("poll")
    assert result.code in (77, 78), result
    assert "secret" in result.err, result


@case()
def configuration_others_can_read(lab, home):
    user = one_account(lab, home, "imap", messages.sample(1))
    os.chmod(home.file("config.yaml"), 0o644)
    for command in ("check", "poll", "test"):
        result = home.run(command)
        assert result.code == 78, result
        assert "config.yaml:" in result.err + result.out, result
        home.log_shows_no_secret(result)
    assert not logins(lab, user)


@case()
def password_command(lab, home):
    mail = messages.sample(1)
    secret = home.write("secret", SECRET + "\n")
    command = home.script("give", 'cat "$1"\necho chatter >&2\n')
    one_account(lab, home, "imap", mail, password=None, password_command=[command, secret])
    result = home.poll()
    compare(mail, home.letters())
    assert result.out + result.err == "", result


@case()
def password_command_without_a_shell(lab, home):
    """An argument is one argument, whatever stands in it."""
    mail = messages.sample(1)
    home.write("secret", SECRET)
    command = home.script("give", """[ "$1" = '; rm -rf $HOME && `id`' ] && cat "$2"\n""")
    one_account(lab, home, "imap", mail, password=None,
                password_command=[command, "; rm -rf $HOME && `id`", home.file("secret")])
    home.poll()
    compare(mail, home.letters())


@case()
def password_command_fails(lab, home):
    command = home.script("fail", "echo half-a-secret\necho the keyring is locked >&2\nexit 3\n")
    user = one_account(lab, home, "imap", password=None, password_command=[command])
    result = home.poll(code=77)
    assert "the keyring is locked" in result.err and "3" in result.err, result
    assert "half-a-secret" not in result.err, result
    assert not logins(lab, user)


@case()
def a_command_that_failed_is_no_refusal(lab, home):
    """Nobody refused anything, so the next poll tries again."""
    mail = messages.sample(1)
    home.write("secret", SECRET + "\n")
    command = home.script("give", "[ -e unlocked ] || exit 2\ncat secret\n")
    one_account(lab, home, "imap", mail, password=None, password_command=[command])
    home.poll(code=77)
    home.write("unlocked", "")
    home.poll()
    compare(mail, home.letters())


@case()
def password_command_missing(lab, home):
    one_account(lab, home, "imap", password=None, password_command=["/nonexistent/command"])
    result = home.run("poll")
    assert result.code in (77, 78), result
    assert "/nonexistent/command" in result.err, result


@case()
def password_command_says_nothing(lab, home):
    one_account(lab, home, "imap", password=None, password_command=["/bin/true"])
    result = home.poll(code=77)
    assert "/bin/true" in result.err or "password" in result.err, result


@case(deadline=100)
def password_command_hangs(lab, home):
    command = home.script("hang", "sleep 100\n")
    one_account(lab, home, "imap", password=None, password_command=[command], timeout="5s")
    result = home.poll(code=77, timeout=80)
    assert result.seconds < 70, result
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                assert command.encode() not in file.read(), "the command still runs"
        except OSError:
            pass


@case()
def password_command_floods(lab, home):
    command = home.script("flood", "head -c 50000000 /dev/zero | tr '\\0' x\n")
    one_account(lab, home, "imap", password=None, password_command=[command])
    result = home.poll(code=77)
    assert "xxxxxxxx" not in result.err, result


@case()
def secret_is_in_no_argv_and_no_environment(lab, home):
    """The MDA sees neither, and nothing of it lies in the state."""
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    spy = home.script("spy", "cat >/dev/null; tr '\\0' '\\n' </proc/$PPID/cmdline >>seen; env >>seen\n")
    home.configure({"box": home.account(user, deliver={"mda": [spy]})})
    home.poll()
    with open(home.file("seen")) as file:
        assert SECRET not in file.read()
    for path, _, names in os.walk(home.file("state")):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                assert SECRET.encode() not in file.read(), name
