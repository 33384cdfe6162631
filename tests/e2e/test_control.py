"""A daemon that is asked: poll and status by its socket."""
import json
import os
import re
import signal
import socket
import time

import lab as laboratory
import messages
from lab import wait_for
from program import compare
from runner import case
from test_collect import one_account, user_of
from test_daemon import arrived, daemon, said


def control(home):
    return home.file("state", "control.sock")


def ready(home):
    wait_for(lambda: os.path.exists(control(home)), 10, "there is no socket")


def ask(home, *lines, until="end"):
    """Sends the lines, and gives the answers up to the first of that event."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        os.chdir(home.file("state"))  # for a path that fits into an address
        peer.connect("control.sock")
        peer.sendall(b"".join(line + b"\n" for line in lines))
        answers = []
        with peer.makefile("rb") as file:
            for line in file:
                answers.append(json.loads(line))
                if answers[-1]["event"] == until:
                    break
        return answers


@case(each=["imap", "pop3"])
def poll_asks_the_daemon(lab, home, protocol):
    """The daemon visits, and poll tells of it in its own words."""
    mail = messages.sample(6)
    user = one_account(lab, home, protocol, mail, interval="1h", idle=False)
    with daemon(home):
        arrived(home, 6)
        assert os.stat(control(home)).st_mode & 0o777 == 0o600
        more = messages.sample(4, first=100)
        lab.fill(user, more)
        result = home.poll("-v")
        assert "box: 4 messages" in result.out and "TLS 1.3" in result.out, result
        assert "Maildir" in result.out, result
        compare(mail + more, home.letters(), protocol)
        result = home.poll()
        assert result.out + result.err == "", result
        assert "box: nothing new" in home.on_terminal("poll").out
    assert not said(home), said(home)
    assert not os.path.exists(control(home)), "the socket was left behind"


@case()
def poll_by_the_daemon_has_the_same_objects(lab, home):
    """As a poll without a daemon prints of the same."""
    mail = messages.sample(3)
    user = one_account(lab, home, "imap", mail, interval="1h")
    alone = home.run("--json", "poll").json[0]
    lab.fill(user, messages.sample(3, first=50))
    with daemon(home):
        arrived(home, 6)
        lab.fill(user, [])
        asked = home.run("--json", "poll").json
    assert len(asked) == 1, asked
    assert list(asked[0]) == list(alone), (asked, alone)
    assert asked[0]["encryption"] == alone["encryption"], (asked, alone)
    assert asked[0]["event"] == "visit" and asked[0]["ok"] and asked[0]["delivered"] == 0, asked


@case()
def poll_tells_each_account_when_its_visit_has_ended(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(1))
    slow = home.script("slow", "sleep 4; cat\n")
    home.configure({"slow": home.account("x", password=None, password_command=[slow]),
                    "quick": home.account(user, interval="1h")})
    with daemon(home):
        arrived(home, 1)
        process = home.start("--json", "poll")
        first = json.loads(process.stdout.readline())
        assert first["account"] == "quick", first
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 77 and json.loads(out)["account"] == "slow", out


@case()
def poll_by_the_daemon_tells_failures_as_poll_does(lab, home):
    """A persistent one was told by the daemon: cron does not hear of it again, who looks on does;
    and the exit code is the truth."""
    one_account(lab, home, "imap", host=laboratory.HOST_EXPIRED, interval="1h")
    with daemon(home):
        wait_for(lambda: "expired" in said(home), 10, "nothing was said")
        result = home.poll(code=76)
        assert result.out + result.err == "", result
        assert "expired" in home.poll("-v", code=76).err
        found = home.run("--json", "poll")
        assert found.code == 76 and not found.err, found
        assert found.json[0]["error"]["kind"] == "tls" and not found.json[0]["ok"], found
        assert "expired" in found.json[0]["error"]["text"], found
    assert len(said(home).splitlines()) == 1, said(home)


@case()
def poll_by_the_daemon_of_a_host_that_is_away(lab, home):
    one_account(lab, home, "imap", port=laboratory.free_ports(1)[0], interval="1h")
    with daemon(home):
        ready(home)
        for _ in range(2):
            result = home.poll(code=69)
            assert result.out + result.err == "", result
        assert "box" in home.poll("-v", code=69).err


@case()
def a_refused_login_is_left_alone_unless_named(lab, home):
    """... and naming it tries at once, with what the password is now."""
    mail = messages.sample(2)
    user = user_of(home)
    lab.fill(user, mail)
    home.write("secret", "wrong")
    home.configure({"box": home.account(user, password=None, interval="1h",
                                        password_command=["cat", home.file("secret")])})
    with daemon(home):
        wait_for(lambda: home.run("--json", "status").json[0]["doing"] == "failing", 10, said(home))
        result = home.poll("-v", code=77)
        assert "left alone" in result.err and "mailhaul poll box" in result.err, result
        assert home.run("--json", "poll").json == []
        home.write("secret", laboratory.SECRET)
        result = home.run("poll", "box")
        assert result.code == 0 and "works again" in result.err, result
        compare(mail, home.letters())


@case()
def poll_while_the_daemon_visits(lab, home):
    """What it is in the middle of does not count: mail that came since does."""
    user = user_of(home)
    lab.fill(user, messages.sample(1))
    slow = home.script("slow", "cat >/dev/null; sleep 2; echo x >>%s\n" % home.file("done"))
    home.configure({"box": home.account(user, interval="1h", deliver={"mda": [slow]})})
    with daemon(home):
        wait_for(lambda: lab.logins(user), 10, "it does not log in")
        time.sleep(0.5)
        lab.fill(user, messages.sample(1, first=50))
        home.poll()
        with open(home.file("done")) as file:
            assert file.read() == "x\nx\n"


@case()
def poll_of_what_the_daemon_does_not_know(lab, home):
    user = one_account(lab, home, "imap", messages.sample(1), interval="1h")
    with daemon(home) as process:
        arrived(home, 1)
        home.configure({"box": home.account(user, interval="1h"),
                        "fresh": home.account(user, mailboxes=["Lists"])})
        for names in ((), ("fresh",)):
            result = home.run("poll", *names)
            assert result.code == 78 and "fresh" in result.err and "HUP" in result.err, result
        assert home.run("poll", "box").code == 0
        assert home.run("poll", "no-such-name").code == 64
        assert "unknown to the daemon" in home.run("status").out
        lab.fill(user, messages.sample(1, first=9), "Lists")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: home.run("poll", "fresh").code == 0, 10, said(home))


@case()
def a_daemon_that_dies_is_reported(lab, home):
    slow = home.script("slow", "sleep 60\n")
    home.configure({"box": home.account("x", password=None, password_command=[slow])})
    process = home.start("daemon")
    try:
        ready(home)
        poll = home.start("poll")
        time.sleep(1)
        assert poll.poll() is None
        process.kill()
        _, err = poll.communicate(timeout=10)
        assert poll.returncode == 75 and b"daemon" in err, err
    finally:
        laboratory.end_group(process)
    assert os.path.exists(control(home))
    home.configure({"box": home.account("x", port=laboratory.free_ports(1)[0])})
    home.poll(code=69)
    with daemon(home):
        wait_for(lambda: home.run("--json", "status").json[0]["doing"] == "failing", 10,
                 "the socket that was left behind is in the way")


@case()
def who_asked_may_leave(lab, home):
    slow = home.script("slow", "sleep 60\n")
    home.configure({"box": home.account("x", password=None, password_command=[slow])})
    with daemon(home):
        ready(home)
        for number in (signal.SIGINT, signal.SIGTERM):
            poll = home.start("poll")
            time.sleep(0.7)
            began = time.monotonic()
            poll.send_signal(number)
            assert poll.wait(5) == 75 and time.monotonic() - began < 1
        assert home.run("status").code == 0


@case()
def one_daemon_for_a_state(lab, home):
    user = one_account(lab, home, "imap", messages.sample(1), interval="1h")
    with daemon(home):
        arrived(home, 1)
        result = home.run("daemon", timeout=10)
        assert result.code == 75 and home.file("state") in result.err, result
        assert home.run("poll").code == 0, "the socket is gone"
        home.configure({"box": home.account(user)}, state_dir=home.file("other"))
        home.poll()
        assert home.run("--json", "status").json[0]["doing"] is None
        home.configure({"box": home.account(user)})


@case()
def status_shows_what_happens_now(lab, home):
    user = one_account(lab, home, "imap", messages.sample(7), interval="1h",
                       mailboxes=["INBOX", "Lists"])
    lab.fill(user, messages.sample(2, first=50), "Lists")
    with daemon(home):
        def listens():
            boxes = home.run("--json", "status").json[0]["mailboxes"]
            return [box["doing"] for box in boxes] == ["listening"] * 2
        wait_for(listens, 15, home.run("--json", "status"))
        found = home.run("--json", "status").json[0]
        assert found["doing"] == "listening" and found["since"] and found["next_poll"], found
        assert found["last_success"] and not found["error"], found
        assert all(box["since"] for box in found["mailboxes"]), found
        result = home.run("status")
        assert re.match(r"ACCOUNT +NOW +NEXT POLL", result.out), result
        assert re.search(r"(?m)^box +listening.* in \d.* 9 .*STARTTLS, TLS 1\.3", result.out), \
            result
        assert "Lists" not in result.out, result
        result = home.run("-v", "status")
        assert re.search(r"(?m)^  Lists +listening.* 2$", result.out), result
        assert "certificate verified by CA" in result.out, result
        home.log_shows_no_secret(result)
        pages = ask(home, b'{"version":1,"request":"status"}')
        assert [one["event"] for one in pages] == ["now", "end"], pages
        assert laboratory.SECRET not in str(pages)
    found = home.run("--json", "status").json[0]
    assert found["doing"] is None and found["next_poll"] is None, found


@case()
def status_shows_what_fails(lab, home):
    home.configure({"box": home.account("x", host=laboratory.HOST_EXPIRED, interval="1h")})
    with daemon(home):
        wait_for(lambda: "expired" in said(home), 10, "nothing was said")
        time.sleep(1.5)
        result = home.run("status")
        assert re.search(r"(?m)^box +failing for \d+ s +in \d+ min", result.out), result
        assert re.search(r"(?m)^box: failing, first .*expired", result.out), result


@case()
def status_is_watched_on_a_terminal(lab, home):
    one_account(lab, home, "imap", messages.sample(1))
    home.poll()
    assert home.run("status", "--watch").code == 64
    assert home.run("--json", "status", "--watch").code == 64
    assert home.run("poll", "--watch").code == 64
    result = home.on_terminal("status", "--watch", keys=b"\x03", after=2.5)
    assert result.code == 0, result
    assert result.out.count("ACCOUNT") in (2, 3, 4) and "\033[H" in result.out, result


@case(each=[("no JSON", b"hello"), ("no object", b"[1]"), ("no version", b'{"request":"poll"}'),
            ("another version", b'{"version":2,"request":"poll"}'),
            ("no request", b'{"version":1}'), ("unknown", b'{"version":1,"request":"fly"}'),
            ("names", b'{"version":1,"request":"poll","accounts":"box"}'),
            ("numbers", b'{"version":1,"request":"poll","accounts":[1]}'),
            ("twice", b'{"version":1,"request":"poll","request":"status"}'),
            ("deep", b"[" * 60000), ("octets", b'{"version":1,"request":"\xff"}')])
def requests_that_are_none(lab, home, name, line):
    """Each gets an error, and the daemon goes on."""
    one_account(lab, home, "imap", interval="1h")
    with daemon(home):
        ready(home)
        answer = ask(home, line, until="error")
        assert len(answer) == 1 and answer[0]["text"], (name, answer)
        both = ask(home, line, b'{"version":1,"request":"status"}')
        assert [one["event"] for one in both] == ["error", "now", "end"], both
        try:
            flood = ask(home, b"x" * 200_000)
        except (ConnectionResetError, BrokenPipeError):
            flood = []
        assert flood == [], "too long a line is answered: %r" % flood[:1]
        assert ask(home, b'{"version":1,"request":"status"}')
    assert not said(home), said(home)


@case()
def thousands_of_requests_cost_nothing(lab, home):
    """Names that are not there, requests that come while one is under way, peers that leave."""
    slow = home.script("slow", "sleep 60\n")
    home.configure({"box": home.account("x", password=None, password_command=[slow])})
    names = json.dumps({"version": 1, "request": "poll", "accounts": ["nobody%d" % i for i in
                                                                      range(4000)]}).encode()
    with daemon(home) as process:
        ready(home)

        def resident():
            with open("/proc/%d/statm" % process.pid) as file:
                return int(file.read().split()[1]) * 4096
        ask(home, names)
        before = resident()
        for _ in range(20):
            answers = ask(home, names)
            assert len(answers) == 4001 and answers[0]["event"] == "unknown", len(answers)
            poll = b'{"version":1,"request":"poll"}'
            assert ask(home, *[poll] * 50, until="error")[-1]["event"] == "error"
        assert resident() - before < 4 << 20, "%d more octets" % (resident() - before)
