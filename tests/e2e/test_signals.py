"""TERM and INT end a poll within five seconds, whatever hangs; nothing is lost by that, and what was
started does not stay behind."""
import os
import signal
import socket
import time

import messages
from program import compare
from runner import Skip, case
from test_collect import one_account, user_of
from test_disk import command, in_namespace

GRACE = 5.0


def wait_for(path, seconds=20):
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        assert time.monotonic() < end, "%s did not come" % path
        time.sleep(0.02)


def end_by(process, number=signal.SIGTERM):
    """Sends the signal; gives the exit code and what was printed, and fails if it takes long."""
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    took = time.monotonic() - began
    assert took < GRACE, "%s took %.1f s: %r" % (number.name, took, out + err)
    return process.returncode, (out + err).decode()


def still_runs(word):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if word.encode() in file.read():
                    return True
        except OSError:
            pass
    return False


# What ends by a signal, and with which code: a daemon has done what it was asked to.
ENDS = [("poll", 75), ("daemon", 0)]


@case(each=[(verb, code, name, number) for verb, code in ENDS
            for name, number in (("TERM", signal.SIGTERM), ("INT", signal.SIGINT))])
def mda_hangs_at_the_end(lab, home, verb, expected, name, number):
    mail = messages.sample(5)
    script = home.script("mda", "cat >/dev/null; touch begun; sleep 1000\n")
    one_account(lab, home, "imap", mail, deliver={"mda": [script]})
    process = home.start(verb)
    wait_for(home.file("begun"))
    code, said = end_by(process, number)
    assert code == expected, (code, said)
    assert not still_runs(script), "the MDA was left behind"
    one_account(lab, home, "imap")
    home.poll()
    compare(mail, home.letters())


@case(each=ENDS)
def password_command_hangs_at_the_end(lab, home, verb, expected):
    mail = messages.sample(2)
    script = home.script("give", "touch begun; sleep 1000\n")
    one_account(lab, home, "imap", mail, password=None, password_command=[script])
    process = home.start(verb)
    wait_for(home.file("begun"))
    code, said = end_by(process)
    assert code == expected, (code, said)
    assert not still_runs(script), "the command was left behind"


@case(each=[(verb, where, code) for verb, code in ENDS for where in ("greeting", "handshake")])
def server_hangs_at_the_end(lab, home, verb, where, expected):
    with socket.create_server(("127.0.0.1", 0)) as server:
        one_account(lab, home, "imap", host="127.0.0.1", port=server.getsockname()[1],
                    implicit=where == "handshake")
        process = home.start(verb)
        client, _ = server.accept()
        code, said = end_by(process)
        client.close()
    assert code == expected, (code, said)


@case()
def in_the_middle_of_many(lab, home):
    mail = messages.sample(1500)
    one_account(lab, home, "imap", mail)
    process = home.start("poll")
    wait_for(home.file("Maildir", "tmp"))
    code, said = end_by(process)
    assert code in (0, 75), (code, said)
    home.poll()
    compare(mail, home.letters())


@case()
def name_server_does_not_answer(lab, home):
    """The time-out of the account ends the waiting, and no thread holds up the exit."""
    home.configure({"box": home.account("x", host="imap.example.org", timeout="2s")},
                   run_as="root")
    home.write("resolv.conf", "nameserver 192.0.2.53\noptions timeout:30 attempts:2\n", 0o644)
    began = time.monotonic()
    result = in_namespace(home, "mount --bind %s /etc/resolv.conf || exit 99\n"
                          "%s" % (home.file("resolv.conf"), command(home, "poll", "box")))
    if result.code == 99:
        raise Skip("no resolv.conf to cover")
    assert result.code == 69, result
    assert time.monotonic() - began < 10, result


@case()
def daemon_leaves_a_name_server_that_does_not_answer(lab, home):
    home.configure({"box": home.account("x", host="imap.example.org", timeout="60s")},
                   run_as="root")
    home.write("resolv.conf", "nameserver 192.0.2.53\noptions timeout:30 attempts:2\n", 0o644)
    result = in_namespace(home, "mount --bind %s /etc/resolv.conf || exit 99\n"
                          "%s & sleep 2; kill -TERM $!; t=$(date +%%s); wait $!; "
                          "echo $? $(($(date +%%s) - t))" % (
                              home.file("resolv.conf"), command(home, "daemon")))
    if result.code == 99:
        raise Skip("no resolv.conf to cover")
    code, took = result.out.split()
    assert code == "0" and int(took) < GRACE, result


@case()
def deliveries_go_on_where_they_were(lab, home):
    """A letter that the MDA had when the end came is handed over again, the others once."""
    mail = messages.sample(3)
    user = user_of(home)
    lab.fill(user, mail)
    script = home.script("mda", "cat >/dev/null; touch begun; [ -e go ] || sleep 1000\n"
                                "echo x >>count\n")
    home.configure({"box": home.account(user, deliver={"mda": [script]})})
    process = home.start("poll")
    wait_for(home.file("begun"))
    assert end_by(process)[0] == 75
    home.write("go", "")
    result = home.run("-v", "poll")
    assert result.code == 0, result
    with open(home.file("count")) as file:
        assert len(file.readlines()) == 3
