"""A throwaway Cyrus IMAP server, run from its unpacked Debian packages as whoever runs the test.

`with Cyrus(lab) as cyrus:` — it has the laboratory's good certificate, and users with lab.SECRET in
a SASL database. Its SCRAM knows channel binding, of the type tls-unique only, which TLS 1.3 does not
have: there it offers -PLUS and refuses it.
"""
import glob
import imaplib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

from lab import HOST, NAME, SECRET, end_group, free_ports, wait_for
from runner import Skip
from user import TREE, die_with_parent

ROOT = os.path.join(TREE, "build", "cyrus")

IMAPD = """
cyrus_user: {me}
cyrus_group: {group}
configdirectory: {T}/conf
partition-default: {T}/spool
defaultpartition: default
servername: {name}
unixhierarchysep: yes
altnamespace: yes
allowplaintext: no
autocreate_quota: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {T}/sasldb2
sasl_mech_list: SCRAM-SHA-1 SCRAM-SHA-256 PLAIN
tls_server_cert: {pem}
tls_server_key: {key}
tls_versions: {tls}
"""

SERVICES = """
START {{
}}
SERVICES {{
  imap cmd="{imapd} -C {T}/imapd.conf" listen="{host}:{port}" prefork=1 maxchild=20
}}
EVENTS {{
}}
"""


class Cyrus:
    def __init__(self, lab, tls=("1.2", "1.3")):
        """tls: the versions it speaks."""
        if not os.path.exists(os.path.join(ROOT, "complete")):
            raise Skip("Cyrus could not be downloaded")
        self.lab, self.master = lab, None
        self.path = tempfile.mkdtemp(prefix="mailhaul-cyrus-")
        self.port = free_ports(1)[0]
        libraries = glob.glob(ROOT + "/usr/lib/*-linux-gnu*") + glob.glob(ROOT + "/lib/*-linux-gnu*")
        self.env = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": ":".join(libraries),
                    "SASL_PATH": ":".join(path + "/sasl2" for path in libraries)}
        for name in ("conf", "spool", "run"):
            os.mkdir(self._file(name))
        self._write("imapd.conf", IMAPD.format(
            T=self.path, me=lab.me, group=lab.group, name=NAME,
            pem=lab.certificates.good, key=lab.certificates.path("good", ".key"),
            tls=" ".join("tls" + version.replace(".", "_") for version in tls)))
        self._write("cyrus.conf", SERVICES.format(
            T=self.path, imapd=ROOT + "/usr/lib/cyrus/bin/imapd", host=HOST, port=self.port))

    def _file(self, name):
        return os.path.join(self.path, name)

    def _write(self, name, text):
        with open(self._file(name), "w") as file:
            file.write(text)

    def __enter__(self):
        self.master = subprocess.Popen(
            [ROOT + "/usr/lib/cyrus/bin/master", "-D", "-C", self._file("imapd.conf"),
             "-M", self._file("cyrus.conf"), "-p", self._file("run/pid")], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=die_with_parent)
        try:
            wait_for(self._answers, 20, "Cyrus does not answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.master.send_signal(signal.SIGTERM)
        try:
            self.master.wait(5)
        except subprocess.TimeoutExpired:
            pass
        end_group(self.master)
        shutil.rmtree(self.path, ignore_errors=True)

    def _answers(self):
        try:
            with socket.create_connection((HOST, self.port), 1) as one:
                one.settimeout(5)
                return one.recv(100).startswith(b"* OK")
        except OSError:
            return False

    def user(self, name, messages=()):
        """Makes a user, and puts messages into the INBOX."""
        subprocess.run([ROOT + "/usr/sbin/saslpasswd2", "-p", "-c", "-f", self._file("sasldb2"),
                        "-u", NAME, name], input=SECRET.encode(), env=self.env, check=True)
        imap = self.connect(name)
        for one in messages:
            answer = imap.append("INBOX", None, imaplib.Time2Internaldate(one.date), one.raw)
            assert answer[0] == "OK", answer
        imap.logout()

    def connect(self, name):
        """imaplib's connection, logged in."""
        imap = imaplib.IMAP4(HOST, self.port)
        imap.starttls(ssl.create_default_context(cafile=self.lab.ca))
        imap.authenticate("PLAIN", lambda _: b"\0%s\0%s" % (name.encode(), SECRET.encode()))
        return imap
