"""What is told of accounts without asking them: today's mail, figures for Prometheus, a command that
is run when something fails, and how often the log says it."""
import contextlib
import os
import re
import signal
import sqlite3
import time

import messages
from lab import wait_for
from runner import case
from test_collect import one_account, user_of
from test_daemon import arrived, daemon, said
from test_disk import database
from test_mda import mda_account
from test_retry import DAY, HOUR, later

# What keeps what it is told, each time in one piece.
KEEPS = 'cat >"$HOME/part" && mv "$HOME/part" "$HOME/told-$(date +%s.%N)"\n'
CLOSED = 1  # a port at which nobody listens


def change(home, sql, *values):
    with contextlib.closing(sqlite3.connect(database(home))) as db, db:
        return db.execute(sql, values).fetchall()


def told(home):
    """The texts that the command got, in order."""
    names = sorted(name for name in os.listdir(home.path) if name.startswith("told-"))
    return [open(home.file(name)).read() for name in names]


def lines(home):
    """What the daemon said, without times."""
    return [line.split("mailhaul: ", 1)[-1] for line in said(home).splitlines()]


@contextlib.contextmanager
def a_visit(home):
    """Waits for what the daemon records of one that begins while the block runs, or had begun."""
    change(home, "UPDATE account SET messages = 99")
    yield
    wait_for(lambda: change(home, "SELECT messages FROM account WHERE messages != 99"), 10,
             "no visit: " + said(home))


def visit_now(home, process):
    with a_visit(home):
        process.send_signal(signal.SIGUSR1)


def broken(home, user, **keys):
    """An account whose server is not the one that is meant."""
    account = home.account(user, **keys)
    return {**account, "tls": {**account["tls"], "server_name": "another.example"}}


# ---- today ---------------------------------------------------------------------------------------

@case(each=["imap", "pop3"])
def status_tells_of_today(lab, home, protocol):
    mail = messages.sample(5)
    user = one_account(lab, home, protocol, mail)
    one, = home.run("--json", "status").json
    assert (one["today_messages"], one["today_octets"]) == (0, 0), one
    assert "TODAY" not in home.run("status").out
    home.poll()
    lab.fill(user, messages.sample(2, first=100))
    home.poll()
    home.poll()
    one, = home.run("--json", "status").json
    octets = sum(len(letter.message) for letter in home.letters())
    assert one["messages"] == 0 and one["today_messages"] == 7, one
    assert abs(one["today_octets"] - octets) < octets / 2 and one["today_octets"] > 0, (one, octets)
    assert re.search(r"TODAY.*\n.* 7, [0-9.]+ [kM]?B", home.run("status").out), home.run("status").out
    change(home, "UPDATE account SET today = today - 1")
    one, = home.run("--json", "status").json
    assert (one["today_messages"], one["today_octets"]) == (0, 0), one
    assert "TODAY" not in home.run("status").out
    lab.fill(user, messages.sample(1, first=200))
    home.poll()
    one, = home.run("--json", "status").json
    assert one["today_messages"] == 1, one


# ---- the log -------------------------------------------------------------------------------------

@case()
def the_daemon_logs_a_failure_once_a_day_and_that_it_is_over(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(2))
    home.configure({"box": broken(home, user)})
    with daemon(home) as process:
        wait_for(lambda: lines(home), 10, "nothing was said")
        for _ in range(3):
            visit_now(home, process)
        assert len(lines(home)) == 1 and "another.example" in lines(home)[0], said(home)
        later(home, DAY - HOUR)
        visit_now(home, process)
        assert len(lines(home)) == 1, said(home)
        later(home, HOUR + 60)
        for _ in range(2):
            visit_now(home, process)
        assert len(lines(home)) == 2 and lines(home)[0] == lines(home)[1], said(home)
        home.configure({"box": home.account(user)})
        process.send_signal(signal.SIGHUP)
        arrived(home, 2)
        for _ in range(2):
            visit_now(home, process)
        assert len(lines(home)) == 3, said(home)
        assert re.match("box: works again, after 1 d 0 h", lines(home)[2]), said(home)


@case()
def the_daemon_logs_a_host_that_is_away_after_an_hour(lab, home):
    user = one_account(lab, home, "imap", port=CLOSED)
    home.poll(code=69)
    with contextlib.ExitStack() as stack:
        with a_visit(home):
            process = stack.enter_context(daemon(home))
        for _ in range(3):
            visit_now(home, process)
        assert not said(home), said(home)
        later(home, HOUR)
        for _ in range(2):
            visit_now(home, process)
        assert len(lines(home)) == 1 and lines(home)[0].startswith("box: "), said(home)
        home.configure({"box": home.account(user)})
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(lines(home)) > 1, 10, said(home))
        visit_now(home, process)
        assert len(lines(home)) == 2 and "box: works again" in lines(home)[1], said(home)


@case(each=["imap", "pop3"])
def the_daemon_tells_of_deliveries(lab, home, protocol):
    """With -v, a line for each visit that delivered something."""
    def delivered():
        return [line for line in lines(home) if " delivered" in line]
    user = one_account(lab, home, protocol, messages.sample(3), interval="10s")
    with daemon(home, "-v") as process:
        arrived(home, 3)
        wait_for(delivered, 5, said(home))
        visit_now(home, process)
        lab.fill(user, messages.sample(1, first=50))
        process.send_signal(signal.SIGUSR1)
        arrived(home, 4)
        wait_for(lambda: len(delivered()) >= 2, 5, said(home))
        visit_now(home, process)
    first, second = delivered()
    assert re.fullmatch(r"box: 3 messages \([\d.]+ [kKMB ]*B\) delivered; STARTTLS, TLS 1\.3, .*", first), first
    assert second.startswith("box: 1 message ("), second


# ---- notify_command ------------------------------------------------------------------------------

@case()
def the_daemon_runs_a_command(lab, home):
    user = user_of(home)
    notify = [home.script("tell", KEEPS)]
    home.configure({"box": broken(home, user)}, notify_command=notify)
    lab.fill(user, messages.sample(1))
    with daemon(home) as process:
        wait_for(lambda: told(home), 20, "nobody was told: " + said(home))
        assert [text.count("\n") for text in told(home)] == [1] and told(home)[0] == lines(home)[0] + "\n"
        for _ in range(2):
            visit_now(home, process)
        home.configure({"box": home.account(user)}, notify_command=notify)
        process.send_signal(signal.SIGHUP)
        arrived(home, 1)
        wait_for(lambda: len(lines(home)) == 2, 10, said(home))
    # Who leaves tells what waits.
    assert len(told(home)) == 2 and told(home)[1] == lines(home)[1] + "\n", (told(home), said(home))
    assert "box: works again, after " in told(home)[1]


@case()
def a_host_that_is_away_starts_one_command(lab, home):
    names = ["box%d" % number for number in range(30)]
    home.configure({name: home.account(name, port=CLOSED, deliver={"maildir": home.file(name)})
                    for name in names}, notify_command=[home.script("tell", KEEPS)],
                   max_connections_per_host=4)
    home.poll(code=69)
    assert not told(home)
    later(home, 2 * HOUR)
    with daemon(home):
        wait_for(lambda: told(home), 20, "nobody was told: " + said(home))
        text, = told(home)
        assert sorted(line.split(":")[0] for line in text.splitlines()) == sorted(names), text


@case()
def a_quarantine_is_told(lab, home):
    user = user_of(home)
    lab.fill(user, messages.sample(1))
    home.configure({"box": mda_account(home, user, "cat >/dev/null; echo no such user >&2; exit 67",
                                       max_attempts=1)}, notify_command=[home.script("tell", KEEPS)])
    with daemon(home) as process:
        wait_for(lambda: told(home), 20, "nobody was told: " + said(home))
        visit_now(home, process)
    text, = told(home)
    assert "quarantine" in text and "no such user" in text and lines(home) == [text.strip()], said(home)


@case()
def a_command_that_fails_hinders_nothing(lab, home):
    users = [user_of(home) + part for part in ("a", "b")]
    for user in users:
        lab.fill(user, messages.sample(2))
    home.configure({"bad": broken(home, users[0]), "box": home.account(users[1])},
                   notify_command=[home.script("tell", "cat >/dev/null; echo gone >&2; exit 3\n")])
    with daemon(home):
        arrived(home, 2)
        wait_for(lambda: "notify_command" in said(home), 20, said(home))
        more = messages.sample(1, first=10)
        lab.fill(users[1], more)
        arrived(home, 3)
    assert lines(home)[1:] == ["notify_command ended with exit code 3 (it said: gone)"], said(home)


@case()
def leaving_does_not_wait_for_a_command_that_hangs(lab, home):
    home.configure({"box": broken(home, user_of(home))},
                   notify_command=[home.script("tell", 'echo $$ >"$HOME/pid"; exec sleep 60\n')])
    with daemon(home):
        wait_for(lambda: os.path.exists(home.file("pid")), 20, said(home))
    with open(home.file("pid")) as file:
        number = int(file.read())
    wait_for(lambda: not os.path.exists("/proc/%d" % number), 5, "it runs on")
    assert len(lines(home)) == 1, said(home)


@case()
def poll_runs_the_command_too(lab, home):
    """Once for all accounts, for what is news, and before it ends."""
    user = user_of(home)
    notify = [home.script("tell", "sleep 0.5; " + KEEPS)]
    home.configure({"bad": broken(home, user), "worse": broken(home, user + "x")},
                   notify_command=notify)
    result = home.poll(code=76)
    text, = told(home)
    assert sorted(line.split(":")[0] for line in text.splitlines()) == ["bad", "worse"], text
    assert all(line in result.err for line in text.splitlines()), (text, result)
    for args in ((), ("-v",)):
        home.poll(*args, code=76)
        assert len(told(home)) == 1, told(home)
    later(home, DAY + 60)
    home.poll(code=76)
    assert len(told(home)) == 2, told(home)
    home.configure({"bad": home.account(user), "worse": home.account(user + "x")},
                   notify_command=["/nonexistent/tell"])
    lab.fill(user, [])
    lab.fill(user + "x", [])
    result = home.poll()
    assert "notify_command could not be started" in result.err, result
    assert result.err.count("works again") == 2 and len(told(home)) == 2, result


@case()
def poll_that_is_ended_waits_for_no_command(lab, home):
    home.configure({"box": broken(home, user_of(home))},
                   notify_command=[home.script("tell", 'echo $$ >"$HOME/pid"; exec sleep 60\n')])
    process = home.start("poll")
    wait_for(lambda: os.path.exists(home.file("pid")), 20, "it does not run")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 5 and process.returncode == 76, (process.returncode, err)
    assert b"middle of a visit" not in err, err


# ---- metrics_file --------------------------------------------------------------------------------

def figures(home):
    """Each sample by its name and label, after a look at the form."""
    found, name = {}, None
    with open(home.file("prom", "mailhaul.prom")) as file:
        for line in file.read().splitlines():
            if line.startswith("# HELP "):
                assert line.split()[2] not in found, line
                name = line.split()[2]
            elif line.startswith("# TYPE "):
                assert line.split()[2] == name and line.split()[3] in ("gauge", "counter"), line
            else:
                key, value = line.rsplit(" ", 1)
                assert re.fullmatch(name + r'(\{[a-z]+="[^"]*"\})?', key) and key not in found, line
                found[key] = int(value)
    return found


def with_metrics(lab, home, mail, **keys):
    os.makedirs(home.file("prom"))
    user = user_of(home)
    lab.fill(user, mail)
    home.configure({"box": home.account(user, **keys)}, metrics_file=home.file("prom", "mailhaul.prom"))
    return user


def of_box(name):
    return 'mailhaul_account_%s{account="box"}' % name


@case(deadline=90)
def the_daemon_writes_metrics(lab, home):
    user = with_metrics(lab, home, messages.sample(5), interval="1h")
    began = int(time.time())
    with daemon(home):
        wait_for(lambda: os.path.exists(home.file("prom", "mailhaul.prom")), 5, said(home))
        assert os.stat(home.file("prom", "mailhaul.prom")).st_mode & 0o7777 == 0o644
        arrived(home, 5)
        wait_for(lambda: figures(home).get(of_box("listening_connections")), 25)
        seen = figures(home)
        assert seen[of_box("up")] == 1 and seen[of_box("messages_total")] == 5, seen
        assert seen[of_box("octets_total")] == seen[of_box("today_octets")] > 1000, seen
        assert began <= seen[of_box("last_success_timestamp_seconds")] <= time.time(), seen
        assert seen[of_box("certificate_expiry_timestamp_seconds")] > time.time(), seen
        assert began + 3000 < seen[of_box("next_visit_timestamp_seconds")] < time.time() + 4200, seen
        assert of_box("failing_since_timestamp_seconds") not in seen, seen
        assert (seen["mailhaul_accounts"], seen["mailhaul_accounts_listening"],
                seen["mailhaul_connections_open"], seen["mailhaul_accounts_failing"]) == (1, 1, 1, 0), seen
        lab.fill(user, messages.sample(2, first=50))
        arrived(home, 7)
    # The end does not wait for its time.
    seen = figures(home)
    assert seen[of_box("messages_total")] == 7 and seen["mailhaul_connections_open"] == 0, seen
    assert os.listdir(home.file("prom")) == ["mailhaul.prom"]
    assert not said(home), said(home)


@case()
def metrics_that_cannot_be_written_hinder_nothing(lab, home):
    user = with_metrics(lab, home, messages.sample(2))
    os.rmdir(home.file("prom"))
    with daemon(home):
        arrived(home, 2)
        lab.fill(user, messages.sample(1, first=10))
        arrived(home, 3)
    assert len(lines(home)) == 1 and "cannot write the metrics_file" in lines(home)[0], said(home)


@case()
def poll_writes_metrics(lab, home):
    """Also for cron. It says nothing if it cannot, unless one looks on."""
    user = with_metrics(lab, home, messages.sample(3))
    home.poll()
    seen = figures(home)
    assert seen[of_box("up")] == 1 and seen[of_box("today_messages")] == 3, seen
    assert not any("_total" in name or "listening" in name for name in seen), seen
    home.configure({"box": broken(home, user)}, metrics_file=home.file("prom", "mailhaul.prom"))
    home.poll(code=76)
    seen = figures(home)
    assert seen[of_box("up")] == 0 and seen["mailhaul_accounts_failing"] == 1, seen
    assert abs(seen[of_box("failing_since_timestamp_seconds")] - time.time()) < 30, seen
    os.rename(home.file("prom"), home.file("away"))
    assert not home.poll(code=76).err
    assert "metrics_file" in home.poll("-v", code=76).err
