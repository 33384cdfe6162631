"""The laboratory with Courier's IMAP and POP3 servers, which were unpacked and not installed.

Courier's paths are compiled in, so it runs in a mount namespace of its own in which what was
unpacked lies over /usr and its configuration over /etc. There the tests' user is called `courier`
and is not root, whom Courier would have drop rights that a user namespace does not give. It has a
namespace of processes too: all of them end with the first.

Every user exists, as in the other laboratories; a program that authdaemond asks says so.
ports["marking"] is IMAP over implicit TLS without UIDPLUS.
"""
import os
import subprocess

from lab import HOST, SECRET, Lab, free_ports
from messages import Message
from user import TREE

UNPACKED = os.path.join(TREE, "build", "courier")

# $1: the laboratory; $2: where the packages were unpacked.
MOUNTS = """
set -e
cd "$2"
mount -t overlay -o lowerdir=usr:/usr courier /usr
cd "$1"
mount -t overlay -o lowerdir=etc:/etc courier /etc
mount -t tmpfs courier /run
mkdir -p /run/courier/authdaemon
exec unshare -U --map-user=1000 --map-group=1000 /bin/sh "$1/serve"
"""

# As Debian's files in /etc/courier and the scripts that read them set them, but for the roads on
# which a password could come in clear.
SERVE = """
exec >{T}/courier.log 2>&1
set -a
. /etc/courier/authdaemonrc
/usr/lib/courier/courier-authlib/authdaemond &

TLS_CERTFILE=/etc/courier/good.pem
TLS_VERIFYPEER=NONE
COURIERTLS=/usr/bin/couriertls
GAM_CLIENT_ID={T}
MAILDIRPATH=Maildir

IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES \
SORT QUOTA AUTH=CRAM-MD5 AUTH=CRAM-SHA1 AUTH=CRAM-SHA256 IDLE"
IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY AUTH=PLAIN AUTH=LOGIN"
IMAP_KEYWORDS=1
IMAP_ACL=1
IMAP_IDLE_TIMEOUT=60
IMAP_MAILBOX_SANITY_CHECK=1
IMAP_UMASK=022
IMAP_USELOCKS=1

POP3AUTH="CRAM-MD5 CRAM-SHA1 CRAM-SHA256"
POP3AUTH_TLS="LOGIN PLAIN $POP3AUTH"

listen() {{
	port=$1
	shift
	/usr/sbin/couriertcpd -address={HOST} -maxprocs=200 -maxperip=200 -nodnslookup -noidentlookup \
		$port "$@" &
}}
login=/usr/lib/courier/courier
tls="$COURIERTLS -server -tcpd"
IMAP_STARTTLS=YES IMAP_TLS_REQUIRED=1
listen {imap} $login/imaplogin /usr/bin/imapd Maildir
POP3_STARTTLS=YES POP3_TLS_REQUIRED=1
listen {pop3} $login/courierpop3login $login/courierpop3d Maildir
IMAP_STARTTLS=NO IMAP_TLS_REQUIRED=0 IMAP_TLS=1
listen {imaps} $tls $login/imaplogin /usr/bin/imapd Maildir
IMAP_CAPABILITY_TLS="IMAP4rev1 AUTH=PLAIN"
listen {marking} $tls $login/imaplogin /usr/bin/imapd Maildir
POP3_STARTTLS=NO POP3_TLS_REQUIRED=0 POP3_TLS=1
listen {pop3s} $tls $login/courierpop3login $login/courierpop3d Maildir
wait
"""

AUTHDAEMONRC = """
authmodulelist="authpipe"
authmodulelistorig="authpipe"
daemons=5
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=1
DEFAULTOPTIONS=""
"""

# Answers authdaemond, a question a line. The challenge of CRAM-* and its answer come in base64.
AUTHPROG = """#!/usr/bin/python3 -IS
import base64
import hmac
import sys

SECRET = {SECRET!r}


def account(user):
    return "UID=1000\\nGID=1000\\nHOME={T}\\nADDRESS=%s\\nMAILDIR={T}/mail/%s\\n.\\n" % (user, user)


def authenticate(text):
    _, kind, first, second = text.split("\\n")[:4]
    if kind == "login":
        return kind, first, hmac.compare_digest(second, SECRET)
    user, _, answer = base64.b64decode(second).decode().partition(" ")
    digest = kind.partition("-")[2].replace("-", "")
    return kind, user, answer == hmac.new(SECRET.encode(), base64.b64decode(first),
                                          digest).hexdigest()


for line in iter(sys.stdin.readline, ""):
    word, _, rest = line.strip().partition(" ")
    if word == "AUTH":
        kind, user, good = authenticate(sys.stdin.read(int(rest)))
        with open("{T}/auth.log", "a") as log:
            log.write("%s %s %s\\n" % ("login" if good else "refused", user, kind))
    else:
        good, user = word == "PRE", rest.split()[-1]
    sys.stdout.write(account(user) if good else "FAIL\\n")
    sys.stdout.flush()
"""


class Courier(Lab):
    server = "courier"
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5")
    other_mechanisms = ("CRAM-SHA1", "CRAM-SHA256")
    offers = {"imap": ("UIDPLUS", "NAMESPACE"), "pop3": ("LOGIN-DELAY 10", "PIPELINING")}
    unique_id = r"UID\d+-\d+"
    close_notify = {"imap": True, "pop3": True}
    flights = {"imap": 12, "pop3": 9}
    ending = "KILL"  # unshare passes on nothing else

    @staticmethod
    def missing():
        if not os.path.exists(os.path.join(UNPACKED, "complete")):
            return "Courier could not be downloaded"
        done = subprocess.run(["unshare", "-Urmpf", "true"], capture_output=True, text=True)
        return "no user namespaces here: " + done.stderr.strip() if done.returncode else None

    def _configure(self):
        etc = self.file("etc", "courier")
        os.makedirs(etc)
        with open(self.certificates.good) as pem, open(self.file("good.key")) as key:
            self._write(pem.read() + key.read(), etc, "good.pem", 0o600)
        self._write("courier:x:1000:1000::/:/bin/sh\n", self.file("etc"), "passwd")
        self._write("courier:x:1000:\n", self.file("etc"), "group")
        self._write(AUTHDAEMONRC, etc, "authdaemonrc")
        self._write(AUTHPROG.format(T=self.path, SECRET=SECRET), etc, "authProg", 0o755)
        self.ports["marking"] = free_ports(1)[0]
        self._write(SERVE.format(T=self.path, HOST=HOST, **self.ports), self.path, "serve")

    @staticmethod
    def _write(text, directory, name, mode=0o644):
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            os.chmod(path, mode)
            file.write(text)

    def command(self):
        return ["unshare", "-Urmpf", "--kill-child", "/bin/sh", "-c", MOUNTS, "courier",
                self.path, UNPACKED]

    def logins(self, user):
        """Courier knows the kinds of CRAM; all else is `login` to it."""
        return [line.split()[2] for line in self._read("auth.log").splitlines()
                if line.startswith("login %s " % user)]

    # ---- mailboxes -------------------------------------------------------------------------------

    def fill(self, user, messages, folder=None):
        super().fill(user, messages, folder)
        if folder:
            with open(os.path.join(self.mailbox(user, folder), "maildirfolder"), "w"):
                pass

    def renumber(self, user, folder=None):
        path = os.path.join(self.mailbox(user, folder), "courierimapuiddb")
        with open(path) as file:
            form, validity, _ = file.readline().split()
        with open(path, "w") as file:
            file.write("%s %d 100\n" % (form, int(validity) + 1))

    @staticmethod
    def served(messages):
        """Every LF as CRLF, also that of a CRLF."""
        return [Message(one.number, one.kind, one.raw.replace(b"\n", b"\r\n"), one.date)
                for one in messages]

