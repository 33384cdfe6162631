"""What is said: status, test, check, JSON, the quiet of cron, and the terminal."""
import os
import re

import lab as laboratory
import messages
from program import compare
from runner import EVERY, case
from test_collect import one_account, user_of
from test_login import logins
from user import TREE

MISTAKES = """\
state_dir: state
stat_dir: typo
max_connections: many
accounts:
  one:
    hots: 127.0.0.2
    host: 127.0.0.2
    user: lee
    user: twice
    password_command: "not a list"
    interval: 5 parsecs
    max_size: -3
    keep: perhaps
    port: 99999
    tls: none
    deliver:
      maildir: [a, list]
  two:
    protocol: smtp
    deliver: {maildir: M}
"""

# Line, and words that the complaint must hold.
EXPECTED = {2: ("stat_dir", "state_dir"), 3: ("max_connections",), 6: ("hots", "host"),
            9: ("user",), 10: ("password_command",), 11: ("interval",), 12: ("max_size",),
            13: ("keep",), 14: ("port",), 15: ("tls",), 17: ("maildir",), 19: ("protocol",)}


@case()
def check_reports_every_mistake(lab, home):
    home.write("config.yaml", MISTAKES)
    result = home.run("check")
    assert result.code == 78, result
    said = {}
    for line in (result.out + result.err).splitlines():
        where = re.search(r"config\.yaml:(\d+):(\d+): (.*)", line)
        if where:
            assert int(where.group(2)) > 0
            said.setdefault(int(where.group(1)), []).append(where.group(3))
    for number, words in EXPECTED.items():
        text = " ".join(said.get(number, []))
        for word in words:
            assert word in text, "line %d: no %r in %r: %r" % (number, word, text, result)


@case(each=["poll", "test", "status"])
def no_command_works_with_mistakes(lab, home, command):
    home.write("config.yaml", MISTAKES)
    result = home.run(command)
    assert result.code == 78, result


@case(each=[("syntax", "accounts: [\n  x: }\n"), ("tab", "accounts:\n\tx: 1\n"), ("empty", ""),
            ("scalar", "hello\n"), ("list", "- a\n- b\n"), ("no accounts", "state_dir: x\n"),
            ("binary", "accounts:\n  x: \x01\x02\n"), ("bomb", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
                "%s: &%s [%s]\n" % (b, b, ",".join(["*" + a] * 9))
                for a, b in zip("abcdefgh", "bcdefghi"))),
            ("deep", "accounts: " + "[" * 5000 + "]" * 5000 + "\n"),
            ("huge", "accounts:\n" + "  x%s: 1\n" % ("y" * 2_000_000)),
            ("two documents", "accounts: {}\n---\naccounts: {}\n"),
            ("latin-1", b"accounts:\n  x: {host: \xe4}\n")])
def broken_yaml(lab, home, name, text):
    home.write("config.yaml", text)
    result = home.run("check", timeout=20)
    assert result.code == 78, result
    assert "config.yaml" in result.out + result.err, result
    assert len(result.err + result.out) < 100_000
    del name


@case()
def no_configuration(lab, home):
    result = home.run("poll")
    assert result.code == 78 and "config.yaml" in result.err, result


@case()
def check_of_a_good_one(lab, home):
    user = one_account(lab, home, "imap", messages.sample(1))
    result = home.run("check")
    assert result.code == 0, result
    assert not logins(lab, user) and not os.path.exists(home.file("Maildir"))


@case()
def check_of_a_name_that_is_not_there(lab, home):
    home.configure({"box": home.account(os.path.basename(home.path))})
    assert home.run("check", "box").code == 0
    result = home.run("check", "bxo")
    assert result.code == 64 and "bxo" in result.err, result


@case()
def exim_without_oi_is_warned_of(lab, home):
    home.configure({"box": home.account("x", deliver={"mda": ["/usr/sbin/exim4", "--", "lee"]})})
    result = home.run("check")
    assert "-oi" in result.out + result.err, result


@case()
def accounts_d(lab, home):
    """One file for each account; its name is the account's."""
    mail = messages.sample(2)
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"placeholder": home.account(user)})
    with open(home.file("config.yaml")) as file:
        top, _, account = file.read().partition("accounts:\n  placeholder:\n")
    home.write("config.yaml", top)
    home.write("accounts.d/filed.yaml", re.sub("(?m)^    ", "", account))
    result = home.run("poll", "filed")
    assert result.code == 0, result
    compare(mail, home.letters())
    assert home.run("poll", "nobody-of-that-name").code == 64


@case(each=[("none",), ("unknown", "fly"), ("option", "--no-such-option"),
            ("account", "poll", "nobody-of-that-name"),
            ("account to check", "check", "nobody-of-that-name")])
def usage(lab, home, name, *args):
    one_account(lab, home, "imap")
    result = home.run(*args)
    assert result.code == 64 and result.err, (name, result)


@case(each=["--help", "--version"])
def help_and_version(lab, home, option):
    result = home.run(option)
    assert result.code == 0 and "mailhaul" in result.out, result


@case(servers=EVERY)
def status_before_and_after(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(7))
    home.configure({"first": home.account(user), "second": home.account("other", password="wrong")})
    assert home.run("status").code == 0
    home.poll(code=77)
    result = home.run("status")
    assert result.code == 0, result
    for word in ("first", "second", "TLS 1.3", "7"):
        assert word in result.out, "%r is not in %r" % (word, result)
    home.log_shows_no_secret(result)
    found = home.run("--json", "status").json
    assert len(found) == 2 and all("version" in one for one in found), found
    assert "TLS 1.3" in str(found) and "starttls" in str(found).lower(), found


@case(servers=EVERY, each=["imap", "pop3"])
def test_changes_nothing(lab, home, protocol):
    mail = messages.sample(9)
    user = one_account(lab, home, protocol, mail, keep=False)
    result = home.run("test")
    assert result.code == 0 and "9" in result.out and "TLS 1.3" in result.out, result
    assert len(lab.left(user)) == 9 and not lab.seen(user)
    assert not os.path.exists(home.file("Maildir"))
    found = home.run("--json", "test").json
    assert found and all("version" in one for one in found), found
    home.poll()
    compare(mail, home.letters(), protocol)


@case(servers=EVERY)
def test_tells_what_would_be_removed(lab, home):
    user = one_account(lab, home, "imap", messages.sample(13))
    home.poll()
    home.configure({"box": home.account(user, keep=False)})
    result = home.run("test")
    assert result.code == 0 and "13" in result.out and "remove" in result.out, result
    assert len(lab.left(user)) == 13


@case()
def test_of_what_cannot_work(lab, home):
    one_account(lab, home, "imap", password="wrong")
    assert home.run("test").code == 77
    one_account(lab, home, "imap", port=laboratory.free_ports(1)[0])
    assert home.run("test").code == 69
    one_account(lab, home, "imap", host=laboratory.HOST_EXPIRED)
    assert home.run("test").code == 76


@case()
def json_poll(lab, home):
    one_account(lab, home, "imap", messages.sample(5))
    found = home.run("--json", "poll").json
    assert found and all("version" in one for one in found), found


def all_keys(value):
    """Of an object and of what is in it; but options and states are named elsewhere."""
    if isinstance(value, list):
        return {key for one in value for key in all_keys(one)}
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(all_keys(one) for key, one in value.items()
                              if key not in ("options", "messages")))


@case()
def the_manual_has_every_key_of_json(lab, home):
    with open(os.path.join(TREE, "man", "mailhaul.1")) as file:
        manual = set(re.findall(r"\w+", file.read().split("\n.Sh JSON\n")[1].split("\n.Sh ")[0]))
    user = one_account(lab, home, "imap", messages.sample(3))
    refuses = home.script("refuses", "cat >/dev/null\nexit 67\n")
    events = set()
    for args in (("-v", "check"), ("test",), ("poll",), ("status",), ("-v", "state", "list"),
                 ("state", "forget", "box", "INBOX", "1"), ("state", "mark-all-fetched"),
                 ("state", "move", "box", "INBOX", "Other"), None, ("poll",), ("status",),
                 ("-v", "state", "list"), ("state", "quarantine", "list"),
                 ("state", "quarantine", "retry", "box", "2"),
                 ("state", "quarantine", "drop", "box", "3")):
        if args is None:
            home.configure({"box": home.account(user, max_attempts=1, deliver={"mda": [refuses]})})
            continue
        for one in home.run("--json", *args).json:
            events.add(one["event"])
            assert one["version"] == 1 and all_keys(one) <= manual, all_keys(one) - manual
    export = home.write("export", home.run("state", "export").out)
    for one in home.run("--json", "state", "import", export).json:
        events.add(one["event"])
        assert all_keys(one) <= manual, all_keys(one) - manual
    assert events <= manual and len(events) == 15, events


@case()
def temporary_failure_is_silent_at_first(lab, home):
    one_account(lab, home, "imap", port=laboratory.free_ports(1)[0])
    for _ in range(2):
        result = home.poll(code=69)
        assert result.out + result.err == "", result
    assert home.poll("-v", code=69).err, "-v says it"


@case()
def persistent_failure_is_said_once(lab, home):
    """... and once more when it is over."""
    user = one_account(lab, home, "imap", messages.sample(1), host=laboratory.HOST_EXPIRED)
    assert "expired" in home.poll(code=76).err
    for _ in range(2):
        result = home.poll(code=76)
        assert result.out + result.err == "", "said again: %r" % result
    home.configure({"box": home.account(user, host=laboratory.HOST_EXPIRED, tls={
        "mode": "starttls", "pin_sha256": [lab.certificates.pin("expired")]})})
    result = home.run("poll", "box")
    assert result.code == 0 and "box" in result.err + result.out, "its end was not said"
    result = home.run("poll")
    assert result.out + result.err == "", result


@case()
def quiet_says_errors_only(lab, home):
    one_account(lab, home, "imap", messages.sample(3))
    result = home.run("-q", "poll")
    assert result.code == 0 and result.out + result.err == ""


@case()
def on_a_terminal(lab, home):
    """Progress, and what was done; nothing of strangers reaches the terminal raw."""
    user = one_account(lab, home, "imap", messages.sample(300))
    result = home.on_terminal("poll")
    assert result.code == 0, result
    assert "300" in result.out and "TLS 1.3" in result.out, result
    plain = home.env | {"NO_COLOR": "1"}
    home.env = plain
    lab.fill(user, messages.sample(5, first=4001))
    assert "\033[3" not in home.on_terminal("poll").out, "colour in spite of NO_COLOR"


@case()
def colour_is_for_stderr_on_a_terminal(lab, home):
    one_account(lab, home, "imap", port=laboratory.free_ports(1)[0])
    assert "\033[31m" in home.on_terminal("poll").out, "no colour on a terminal"
    assert "\033[" not in home.poll("-v", code=69).err
    assert "\033[" not in home.on_terminal("status").out, "stdout is coloured"
    home.env["NO_COLOR"] = "1"
    assert "\033[3" not in home.on_terminal("poll").out, "colour in spite of NO_COLOR"


@case()
def status_tells_the_next_poll(lab, home):
    one_account(lab, home, "imap", messages.sample(1), password="wrong")
    assert "box" in home.run("status").out
    home.poll(code=77)
    result = home.run("status")
    assert re.search(r"NEXT POLL.*\nbox +failing.* +in 1 h", result.out), result
    assert re.search(r"left alone for \d+ .*mailhaul poll box", result.out), result
    assert home.run("--json", "status").json[0]["next_poll"]


@case()
def verbose_names_the_encryption(lab, home):
    one_account(lab, home, "imap", messages.sample(1))
    text = home.poll("-v").err
    for word in ("TLS 1.3", "STARTTLS", "CA", "SCRAM-SHA-256"):
        assert word.lower() in text.lower(), "%r is not in %r" % (word, text)
    assert "\033" not in text


@case()
def what_cannot_begin_is_told_like_any_failure(lab, home):
    """Once a day, in the JSON and in status; and the other account goes on."""
    mail = messages.sample(2)
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"bad": home.account("x", tls={"ca_file": home.file("nowhere.pem")}),
                    "good": home.account(user)})
    assert "nowhere.pem" in home.poll(code=78).err
    compare(mail, home.letters())
    result = home.poll(code=78)
    assert result.out + result.err == "", "said again: %r" % result
    found = {one["account"]: one for one in home.run("--json", "poll").json}
    assert "nowhere.pem" in found["bad"]["error"]["text"] and found["good"]["ok"], found
    assert "nowhere.pem" in home.run("status").out
    assert home.run("test", "bad").code == 78
