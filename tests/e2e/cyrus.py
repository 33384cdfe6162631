"""The laboratory with Cyrus's IMAP and POP3 servers, run from their unpacked Debian packages.

Every user exists, as in the other laboratories: SASL's password comes from an SQLite table that
holds one. A mailbox is made when its user logs in. Cyrus's SCRAM knows channel binding, of the type
tls-unique only, which TLS 1.3 does not have: there it offers -PLUS and refuses it. ports["imap-1.2"]
and ports["pop3-1.2"] speak TLS 1.2 only.
"""
import contextlib
import glob
import imaplib
import os
import re
import sqlite3
import ssl

from lab import HOST, NAME, SECRET, Lab, free_ports
from user import TREE

UNPACKED = os.path.join(TREE, "build", "cyrus")

IMAPD = """
cyrus_user: {ME}
cyrus_group: {GROUP}
configdirectory: {T}/conf
partition-default: {T}/spool
defaultpartition: default
servername: {NAME}
syslog_prefix: mailhaul-tests
unixhierarchysep: no
altnamespace: no
allowplaintext: no
failedloginpause: 0
autocreate_quota: 0
expunge_mode: immediate
delete_mode: immediate
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sql
sasl_sql_engine: sqlite3
sasl_sql_database: {T}/secrets
sasl_sql_select: SELECT secret FROM secrets WHERE '%p' = 'userPassword'
sasl_mech_list: SCRAM-SHA-1 SCRAM-SHA-256 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN
tls_server_cert: {T}/good.pem
tls_server_key: {T}/good.key
tls_versions: {tls}
"""

SERVICES = """
START {{
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {T}/imapd.conf" listen="{HOST}:{ports[imap]}" prefork=1 maxchild=100
  imaps cmd="{bin}/imapd -s -C {T}/imapd.conf" listen="{HOST}:{ports[imaps]}" maxchild=100
  imapold cmd="{bin}/imapd -C {T}/imapd-1.2.conf" listen="{HOST}:{ports[imap-1.2]}" maxchild=100
  pop3 cmd="{bin}/pop3d -C {T}/imapd.conf" listen="{HOST}:{ports[pop3]}" prefork=1 maxchild=100
  pop3old cmd="{bin}/pop3d -C {T}/imapd-1.2.conf" listen="{HOST}:{ports[pop3-1.2]}" maxchild=100
  pop3s cmd="{bin}/pop3d -s -C {T}/imapd.conf" listen="{HOST}:{ports[pop3s]}" maxchild=100
}}
EVENTS {{
}}
"""


# Kinds of messages that it does not take in.
REFUSED = ("not_a_header",)


def append(imap, name, messages):
    """All in one command, which imaplib does not know, and which costs Cyrus's disk little. True if
    the server took them; then it took all."""
    if not messages:
        return True
    command = b"fill APPEND " + name.encode()
    for one in messages:
        raw = one.raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        command += b' %s {%d+}\r\n%s' % (imaplib.Time2Internaldate(one.date).encode(), len(raw), raw)
    imap.send(command + b"\r\n")
    answer = imap.readline()
    while not answer.startswith(b"fill "):
        answer = imap.readline()
    return answer.startswith(b"fill OK")


class Cyrus(Lab):
    server = "cyrus"
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    other_mechanisms = ("DIGEST-MD5", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")
    offers = {"imap": ("UIDPLUS", "LITERAL+", "OBJECTID"), "pop3": ("EXPIRE NEVER", "PIPELINING")}
    unique_id = r"\d+\.\d+"
    close_notify = {"imap": False, "pop3": False}
    account_keys = {"auth": "scram-sha-256"}  # auto would try -PLUS first, and tell that it was refused

    @staticmethod
    def missing():
        if not os.path.exists(os.path.join(UNPACKED, "complete")):
            return "Cyrus could not be downloaded"
        return None

    def _configure(self):
        self.ports.update(zip(("imap-1.2", "pop3-1.2"), free_ports(2)))
        for name in ("conf/socket", "spool"):
            os.makedirs(self.file(name))
        with contextlib.closing(sqlite3.connect(self.file("secrets"))) as db:
            db.execute("CREATE TABLE secrets (secret TEXT)")
            db.execute("INSERT INTO secrets VALUES (?)", (SECRET,))
            db.commit()
        names = {"T": self.path, "ME": self.me, "GROUP": self.group, "NAME": NAME, "HOST": HOST,
                 "bin": UNPACKED + "/usr/lib/cyrus/bin", "ports": self.ports}
        for name, text, tls in (("imapd.conf", IMAPD, "tls1_2 tls1_3"),
                                ("imapd-1.2.conf", IMAPD, "tls1_2"), ("cyrus.conf", SERVICES, "")):
            with open(self.file(name), "w") as file:
                file.write(text.format(tls=tls, **names))

    def command(self):
        libraries = glob.glob(UNPACKED + "/usr/lib/*-linux-gnu*") + \
            glob.glob(UNPACKED + "/lib/*-linux-gnu*") + [UNPACKED + "/usr/lib/cyrus"]
        return ["env", "LD_LIBRARY_PATH=" + ":".join(libraries),
                "SASL_PATH=" + ":".join(path + "/sasl2" for path in libraries),
                UNPACKED + "/usr/lib/cyrus/bin/master", "-D", "-C", self.file("imapd.conf"),
                "-M", self.file("cyrus.conf"), "-p", self.file("pid")]

    def logins(self, user):
        """Cyrus writes down what is said after a login, if the user has a directory for that. It does
        not say how the user logged in. connection() is known by its first command."""
        found = []
        for path in glob.glob(self.file("conf", "log", user, "*")):
            with open(path, "rb") as file:
                found += re.findall(rb"^-{10} .*\n\n(?!.*NOOP)", file.read(), re.M)
        return found

    # ---- mailboxes -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def connection(self, user, folder=None):
        """imaplib's connection, logged in, and the quoted name of the mailbox."""
        os.makedirs(self.file("conf", "log", user), exist_ok=True)
        with imaplib.IMAP4(HOST, self.ports["imap"]) as imap:
            imap.starttls(ssl.create_default_context(cafile=self.ca))
            imap.authenticate("PLAIN", lambda _: b"\0%s\0%s" % (user.encode(), SECRET.encode()))
            imap.noop()
            yield imap, '"%s"' % ("INBOX." + folder if folder else "INBOX")

    def fill(self, user, messages, folder=None):
        with self.connection(user, folder) as (imap, name):
            if folder:
                imap.create(name)
            assert append(imap, name, self.served(messages))
            for one in messages:
                assert one.kind not in REFUSED or not append(imap, name, [one]), one.kind

    def _search(self, user, folder, what):
        with self.connection(user, folder) as (imap, name):
            answer = imap.select(name, readonly=True)
            assert answer[0] == "OK", answer
            return imap.uid("SEARCH", what)[1][0].split()

    def left(self, user, folder=None):
        return self._search(user, folder, "ALL")

    def seen(self, user, folder=None):
        return self._search(user, folder, "SEEN")

    @staticmethod
    def served(messages):
        return [one for one in messages if one.kind not in REFUSED]

    def renumber(self, user, folder=None):
        """Not the INBOX: a mailbox that is deleted and made again with the same messages."""
        with self.connection(user, folder) as (imap, name):
            for command in (("RENAME", name, '"INBOX.Before"'), ("CREATE", name),
                            ("SELECT", '"INBOX.Before"'), ("COPY", "1:*", name)):
                answer = imap._simple_command(*command) if command[0] != "SELECT" else \
                    imap.select(command[1])
                assert answer[0] == "OK", (command, answer)

