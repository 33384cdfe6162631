"""An honest message that is larger than all memory and comes slowly: it is not a dribble.

MAILHAUL_LARGE says how large it is (512M, 10G).
"""
import os
import shutil
import time

from actions import Action
from runner import Skip, case
from server import ImapServer, Pop3Server
from watched import check_memory, make_watched

TIMEOUT, SPANS = 2, 5  # it lasts longer than `timeout`, so many times
BLOCK = 4096  # lines of 16 octets each
HEAD = b"Subject: large\r\n\r\n"
SIZE = os.environ.get("MAILHAUL_LARGE", "1G")
BLOCKS = int(SIZE[:-1]) * {"M": 1 << 20, "G": 1 << 30}[SIZE[-1]] // (16 * BLOCK)
OCTETS = len(HEAD) + BLOCKS * BLOCK * 16
DEADLINE = 120 + OCTETS // 5_000_000


def block(number, end):
    return (b"%014d" % number + end) * BLOCK


class Stream(Action):
    """All of it, evenly."""

    def do(self, wire, fill):
        wire.send(HEAD)
        began = time.monotonic()
        for number in range(BLOCKS):
            wire.send(block(number, b"\r\n"))
            time.sleep(max(0, began + number * TIMEOUT * SPANS / BLOCKS - time.monotonic()))


SERVERS = {
    "imap": (ImapServer, [b"* {seq} FETCH (UID {uid} BODY[] {%d}\r\n" % OCTETS, Stream(),
                          b")\r\n"]),
    "pop3": (Pop3Server, [b"+OK\r\n", Stream(), b".\r\n"])}


def check_letter(path):
    """Its lines, behind those that mailhaul puts in front."""
    with open(path, "rb") as file:
        while not file.readline().startswith(b"X-Mailhaul-Id: "):
            pass
        assert file.readline() + file.readline() == HEAD.replace(b"\r\n", b"\n")
        for number in range(BLOCKS):
            assert file.read(15 * BLOCK) == block(number, b"\n"), "block %d differs" % number
        assert not file.read(1), "it is longer"


@case(each=["imap", "pop3"], deadline=DEADLINE)
def hostile_is_not_who_sends_a_large_message_slowly(lab, home, protocol):
    if shutil.disk_usage(home.path).free < 3 * OCTETS:
        raise Skip("the disk is too small")
    make_watched(home)
    name, (kind, answer) = os.path.basename(home.path), SERVERS[protocol]
    with kind(lab.certificates, [HEAD], {"body 1": answer}) as server:
        home.configure({"box": home.account(name, protocol, port=server.port, keep=False,
                                            timeout="%ds" % TIMEOUT)})
        result = home.run("-v", "poll", timeout=DEADLINE - 30)
        assert result.code == 0 and result.seconds > TIMEOUT * (SPANS - 1), result
        assert server.removed == {1}
    (new,) = os.listdir(home.file("Maildir", "new"))
    check_letter(home.file("Maildir", "new", new))
    os.remove(home.file("Maildir", "new", new))
    check_memory(home)
