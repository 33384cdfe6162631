"""Maildirs and states that cannot be written, are not there, or are not what they were."""
import contextlib
import glob
import os
import shutil
import sqlite3
import subprocess
import threading
import time

import messages
from program import Result, compare, unfinished
from runner import Skip, case
from test_collect import PROTOCOLS, one_account, user_of


def in_namespace(home, script, timeout=60):
    """Runs a script as root of a user namespace, where it may mount what it likes."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        raise Skip("no user namespaces here")
    done = subprocess.run(["unshare", "-Urm", "/bin/sh", "-c", script], env=home.env,
                          cwd=home.path, capture_output=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)
    return Result(done.returncode, done.stdout, done.stderr, 0)


def command(home, *args):
    return " ".join("'%s'" % word for word in home.argv(*args))


@case(each=PROTOCOLS)
def maildir_cannot_be_written(lab, home, protocol):
    user = one_account(lab, home, protocol, messages.sample(5), keep=False)
    for part in ("cur", "new", "tmp"):
        os.makedirs(home.file("Maildir", part))
    os.chmod(home.file("Maildir"), 0o500)
    for part in ("cur", "new", "tmp"):
        os.chmod(home.file("Maildir", part), 0o500)
    result = home.poll(code=73)
    assert "Maildir" in result.err, result
    assert len(lab.left(user)) == 5, "removed, and not delivered"
    for part in ("", "cur", "new", "tmp"):
        os.chmod(home.file("Maildir", part), 0o700)
    home.run("poll", "box")
    assert len(home.letters()) == 5


@case()
def maildir_cannot_be_created(lab, home):
    home.write("file", "x")
    one_account(lab, home, "imap", messages.sample(2), deliver={"maildir": home.file("file/M")})
    home.poll(code=73)


@case()
def maildir_is_a_file(lab, home):
    one_account(lab, home, "imap", messages.sample(2), deliver={"maildir": home.write("M", "x")})
    home.poll(code=73)


@case(each=PROTOCOLS)
def new_cannot_be_written(lab, home, protocol):
    """tmp/ takes the letters and new/ does not: they come later, and once."""
    user = one_account(lab, home, protocol, messages.sample(3), keep=False)
    home.poll()
    more = messages.sample(4, first=101)
    lab.fill(user, more)
    os.chmod(home.file("Maildir", "new"), 0o500)
    home.poll(code=73)
    assert len(lab.left(user)) == 4, "removed, and not delivered"
    os.chmod(home.file("Maildir", "new"), 0o700)
    home.run("poll", "box")
    home.run("poll", "box")
    compare(messages.sample(3) + more, home.letters(), protocol)
    assert not lab.left(user) and not unfinished(home.file("Maildir"))


@case(each=PROTOCOLS)
def maildir_on_a_full_disk(lab, home, protocol):
    mail = [messages.large(100_000, number) for number in range(1, 31)]
    user = one_account(lab, home, protocol, mail, keep=False)
    os.mkdir(home.file("disk"))
    home.configure({"box": home.account(user, protocol, keep=False,
                                        deliver={"maildir": home.file("disk/M")})},
                   run_as="root")
    poll = command(home, "poll", "box")
    result = in_namespace(home, """
        mount -t tmpfs -o size=1m none "$HOME/disk" || exit 99
        %s; echo "first $?"; ls disk/M/new | wc -l
        mount -t tmpfs -o remount,size=50m none "$HOME/disk"
        %s; echo "second $?"; %s; cp -r disk/M Maildir
    """ % (poll, poll, poll))
    if result.code == 99:
        raise Skip("no tmpfs here")
    assert "first 73" in result.out and "second 0" in result.out, result
    compare(mail, home.letters(), protocol)
    assert not lab.left(user), "left: %d" % len(lab.left(user))


@case()
def maildir_disappears(lab, home):
    """A Maildir that the state knows and that is gone (an unmounted disk) is never made anew."""
    mail = messages.sample(3)
    user = one_account(lab, home, "imap", mail)
    home.poll()
    os.rename(home.file("Maildir"), home.file("elsewhere"))
    lab.fill(user, messages.sample(2, first=11))
    home.poll(code=73)
    assert not os.path.exists(home.file("Maildir", "new"))
    os.mkdir(home.file("Maildir"))
    home.run("poll", "box")
    assert not os.path.exists(home.file("Maildir", "new"))
    os.rmdir(home.file("Maildir"))
    os.rename(home.file("elsewhere"), home.file("Maildir"))
    home.run("poll", "box")
    compare(mail + messages.sample(2, first=11), home.letters())


@case(each=[("empty", ()), ("fresh", ("cur", "new", "tmp"))])
def maildir_is_replaced(lab, home, how, parts):
    """By one that mailhaul has not delivered into: the disk of the true one is not mounted."""
    mail = messages.sample(3)
    user = one_account(lab, home, "imap", mail, keep=False)
    home.poll()
    os.rename(home.file("Maildir"), home.file("elsewhere"))
    for part in ("", *parts):
        os.mkdir(home.file("Maildir", part))
    more = messages.sample(2, first=11)
    lab.fill(user, more)
    result = home.poll(code=73)
    assert "mounted" in result.err and "mailhaul-id" in result.err, result
    assert not home.letters() and len(lab.left(user)) == 2, "delivered into the wrong one: " + how
    shutil.rmtree(home.file("Maildir"))
    os.rename(home.file("elsewhere"), home.file("Maildir"))
    home.run("poll", "box")
    compare(mail + more, home.letters())


@case(each=PROTOCOLS)
def maildir_on_a_disk_that_is_unmounted(lab, home, protocol):
    mail = messages.sample(3)
    user = one_account(lab, home, protocol, mail, keep=False)
    home.configure({"box": home.account(user, protocol, keep=False,
                                        deliver={"maildir": home.file("disk/M")})}, run_as="root")
    os.mkdir(home.file("disk"))
    poll = command(home, "poll", "box")
    more = home.file("more")
    os.mkdir(more)
    new = lab.mailbox(user) + "/new"
    lab.fill(user + "-x", messages.sample(2, first=11))
    result = in_namespace(home, """
        mount -t tmpfs none "$HOME/disk" || exit 99
        %s; echo "first $?"; cp -a disk/M M; umount "$HOME/disk"
        mv "%s"/new/* "%s"; %s; echo "without $?"; ls disk
        mount -t tmpfs none "$HOME/disk"; cp -a M disk; %s; echo "again $?"; cp -r disk/M Maildir
    """ % (poll, lab.mailbox(user + "-x"), new, poll, poll))
    if result.code == 99:
        raise Skip("no tmpfs here")
    assert "first 0" in result.out and "without 73\nagain 0" in result.out, result
    compare(mail + messages.sample(2, first=11), home.letters(), protocol)
    assert not lab.left(user)


@case(each=PROTOCOLS)
def maildir_restored_without_tmp(lab, home, protocol):
    """Back-ups leave empty directories out."""
    mail = messages.sample(3)
    user = one_account(lab, home, protocol, mail, keep=False)
    home.poll()
    for part in ("tmp", "cur"):
        os.rmdir(home.file("Maildir", part))
    more = messages.sample(2, first=11)
    lab.fill(user, more)
    home.poll()
    compare(mail + more, home.letters(), protocol)


@contextlib.contextmanager
def meanwhile(work):
    """Calls work again and again in a thread of its own, while the block lasts."""
    over = threading.Event()

    def run():
        while not over.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@case(each=PROTOCOLS)
def tmp_is_emptied_all_the_while(lab, home, protocol):
    """By a program that spares nothing. What was not in new/ yet is fetched again."""
    mail = messages.sample(200)
    user = one_account(lab, home, protocol, mail[:1], keep=False)
    home.poll()
    lab.fill(user, mail[1:])
    tmp = home.file("Maildir", "tmp")

    def empty():
        for name in os.listdir(tmp):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(tmp, name))
        time.sleep(0.01)

    with meanwhile(empty):
        codes = {home.run("poll", "box").code for _ in range(4)}
    assert codes <= {0, 73}, codes
    for _ in range(2):
        result = home.run("poll", "box")
        assert result.code == 0, result
    compare(mail, home.letters(), protocol)
    assert not lab.left(user)


@case()
def tmp_is_removed_under_way(lab, home):
    """The directory itself, while letters are written into it."""
    mail = messages.sample(200)
    user = one_account(lab, home, "imap", mail[:1], keep=False)
    home.poll()
    lab.fill(user, mail[1:])
    with meanwhile(lambda: shutil.rmtree(home.file("Maildir", "tmp"), ignore_errors=True)):
        result = home.run("poll", "box")
    assert result.code in (0, 73), result
    for _ in range(2):
        result = home.run("poll", "box")
        assert result.code == 0, result
    compare(mail, home.letters())
    assert not lab.left(user)


def database(home):
    files = [path for path in glob.glob(home.file("state", "*"))
             if os.path.isfile(path) and open(path, "rb").read(15) == b"SQLite format 3"]
    assert len(files) == 1, "state files: %s" % files
    return files[0]


def set_up_state(lab, home, protocol="imap"):
    user = one_account(lab, home, protocol, messages.sample(5), keep=False)
    home.poll()
    lab.fill(user, messages.sample(3, first=50))
    return user, database(home)


@case()
def state_of_a_newer_version(lab, home):
    user, path = set_up_state(lab, home)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] > 0, "no schema version"
        db.execute("PRAGMA user_version = 9999")
    db.close()
    result = home.poll(code=74)
    assert "newer" in result.err, result
    assert len(lab.left(user)) == 3 and len(home.letters()) == 5


@case(each=["garbage", "cut", "zeros in the middle", "not a database"])
def state_is_corrupt(lab, home, how):
    user, path = set_up_state(lab, home)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        if how == "garbage":
            file.seek(100)
            file.write(os.urandom(size - 100))
        elif how == "cut":
            file.truncate(size // 2 + 77)
        elif how == "not a database":
            file.write(b"this is a text file\n" * 500)
        else:
            file.seek(4096)
            file.write(b"\0" * (size - 4096))
    result = home.poll(code=74)
    assert os.path.basename(path) in result.err, result
    assert len(lab.left(user)) == 3, "removed with a corrupt state"


@case()
def state_directory_cannot_be_written(lab, home):
    one_account(lab, home, "imap", messages.sample(2))
    os.mkdir(home.file("state"), 0o500)
    result = home.poll(code=74)
    assert "state" in result.err, result


@case(each=["mount", "file", "directory"])
def state_is_read_only(lab, home, how):
    """Nothing can be recorded, so nothing is fetched or removed; and that is said."""
    user, path = set_up_state(lab, home)
    if how == "mount":
        home.configure({"box": home.account(user, keep=False)}, run_as="root")
        result = in_namespace(home, 'mount --bind "$HOME/state" "$HOME/state" && '
                              'mount -o remount,bind,ro "$HOME/state" || exit 99\n'
                              'exec %s' % command(home, "poll"))
        if result.code == 99:
            raise Skip("no bind mounts here")
    else:
        target = path if how == "file" else home.file("state")
        mode = os.stat(target).st_mode
        os.chmod(target, mode & ~0o222)
        result = home.run("poll")
        os.chmod(target, mode)
    assert result.code == 74 and "state" in result.err, result
    assert len(lab.left(user)) == 3 and len(home.letters()) == 5
    home.configure({"box": home.account(user, keep=False)})
    result = home.run("poll", "box")
    assert result.code == 0, result
    assert len(home.letters()) == 8 and not lab.left(user)


@case()
def state_on_a_full_disk(lab, home):
    mail = messages.sample(2000)
    user = one_account(lab, home, "imap", mail, keep=False)
    home.configure({"box": home.account(user, keep=False)}, run_as="root")
    os.mkdir(home.file("state"))
    poll = command(home, "poll", "box")
    result = in_namespace(home, """
        mount -t tmpfs -o size=120k none "$HOME/state" || exit 99
        %s; echo "first $?"
        mount -t tmpfs -o remount,size=50m none "$HOME/state"
        %s; echo "second $?"; %s
    """ % (poll, poll, poll))
    if result.code == 99:
        raise Skip("no tmpfs here")
    assert "first 74" in result.out and "second 0" in result.out, result
    compare(mail, home.letters())
    assert not lab.left(user)


@case()
def state_is_private(lab, home):
    one_account(lab, home, "imap", messages.sample(1))
    home.poll()
    assert os.stat(database(home)).st_mode & 0o777 == 0o600
    assert os.stat(home.file("state")).st_mode & 0o077 == 0


@case()
def root_without_run_as(lab, home):
    one_account(lab, home, "imap", messages.sample(1))
    result = in_namespace(home, "exec %s" % command(home, "poll"))
    assert result.code == 78 and "run_as" in result.err, result
    assert not os.path.exists(home.file("Maildir"))


@case()
def root_by_name(lab, home):
    mail = messages.sample(1)
    user = one_account(lab, home, "imap", mail)
    home.configure({"box": home.account(user)}, run_as="root")
    result = in_namespace(home, "exec %s" % command(home, "poll"))
    assert result.code == 0, result
    compare(mail, home.letters())


@case()
def foreign_files_in_tmp_stay(lab, home):
    """Others work in the same Maildir: only our own letters without a row are removed."""
    one_account(lab, home, "imap", messages.sample(3))
    home.poll()
    home.write("Maildir/tmp/1700000000.M1P2.other-host", "in work")
    home.poll()
    assert unfinished(home.file("Maildir")) == ["1700000000.M1P2.other-host"]


@case()
def state_lost_entirely(lab, home):
    """Without its memory everything comes again, which is better than lost."""
    mail = messages.sample(3)
    one_account(lab, home, "imap", mail)
    home.poll()
    shutil.rmtree(home.file("state"))
    home.run("poll")
    assert len(home.letters()) >= 3
