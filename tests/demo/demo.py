#!/usr/bin/python3
"""mailhaul at work: collects a sample mailbox from a throwaway Dovecot on loopback, by IMAP into a
Maildir and by POP3 through exim, twice, and looks at what came.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
sys.dont_write_bytecode = True

import user  # noqa: E402

PLACE = os.path.join("build", "demo")
BY_IMAP, BY_POP3 = 400, 150
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return "\033[%sm%s\033[0m" % (code, text) if COLOUR else text


def title(text):
    print("\n" + paint("1;36", "== " + text), flush=True)


def say(text):
    print("   " + text, flush=True)


def shown(home, *args):
    """Runs mailhaul where the user can see it, progress bar and all."""
    print(paint("2", "   $ mailhaul " + " ".join(args)), flush=True)
    code = subprocess.run(home.argv(*args), env={
        **home.env, **{name: os.environ[name] for name in ("TERM", "NO_COLOR", "COLUMNS")
                       if name in os.environ}}, cwd=home.path).returncode
    if code:
        raise SystemExit("mailhaul ended with exit code %d" % code)


def main():
    if os.geteuid() == 0:
        say("Started as root: it works as %s on a copy of this tree, and brings %s back." % (
            user.USER, PLACE))
    user.continue_unprivileged(bring_back=PLACE)
    import shutil

    import messages
    import runner
    from lab import HOST, Lab
    from program import Home, compare
    runner.interrupt_on_term()
    place = os.path.join(user.TREE, PLACE)
    shutil.rmtree(place, ignore_errors=True)

    title("A mail server of its own, on %s, with its own certificates" % HOST)
    with Lab() as lab:
        by_imap = messages.sample(BY_IMAP - 1) + [messages.large(20_000_000, 9999)]
        by_pop3 = messages.sample(BY_POP3, seed=2, first=20_001)
        lab.fill("lee", by_imap)
        lab.fill("kim", by_pop3)
        say("Dovecot: IMAP on port %d, POP3 on port %d; without TLS it takes no password." % (
            lab.ports["imap"], lab.ports["pop3"]))
        say("%d messages wait for lee, %d for kim." % (len(by_imap), len(by_pop3)))

        home = Home(lab, place)
        maildir, exims = home.file("Maildir"), home.file("Maildir-by-exim")
        home.configure({
            "imap": home.account("lee", "imap", deliver={"maildir": maildir}),
            "pop3": home.account("kim", "pop3", deliver={"mda": lab.exim(lab.path, exims)})})
        title("Collected: lee by IMAP into a Maildir, kim by POP3 through exim")
        shown(home, *([] if sys.stderr.isatty() else ["-v"]), "poll")
        compare(by_imap, home.letters("Maildir"))
        compare(by_pop3, home.letters("Maildir-by-exim"), "pop3")

        title("Once more: nothing is fetched twice")
        shown(home, *([] if sys.stderr.isatty() else ["-v"]), "poll")
        compare(by_imap, home.letters("Maildir"))
        compare(by_pop3, home.letters("Maildir-by-exim"), "pop3")
        say("Still %d and %d messages." % (len(by_imap), len(by_pop3)))

        title("What protected the connections")
        shown(home, "status")

    title("Done")
    for count, how, path in ((len(by_imap), "IMAP, STARTTLS, Maildir", "Maildir"),
                             (len(by_pop3), "POP3, STARTTLS, exim", "Maildir-by-exim")):
        say("%4d messages by %-24s in %s" % (count, how, os.path.join(PLACE, path)))
    say("Each is the same as on the server, octet by octet. The server is stopped.")
    say("A mail reader shows them, as in: mutt -f %s" % os.path.join(PLACE, "Maildir"))


if __name__ == "__main__":
    main()
