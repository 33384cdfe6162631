"""A throwaway laboratory: certificates, a Dovecot with mailboxes, and real MDAs, in one directory.

Dovecot runs as whoever runs the test, on addresses of its own: it trusts a client that comes from
the server's address, and would offer plaintext logins to it even with ssl = required. Clients come
from 127.0.0.1, so on 127.0.0.2 LOGINDISABLED is there.

    127.0.0.2   a good certificate (mail.lab.test and the address)
    127.0.0.3   one that has expired
    127.0.0.4   one for another name
    127.0.0.5   one that expires in a week

Mailboxes have dots between their levels; for users whose name holds "prefix" they lie below INBOX.
Abgelegt is the \\Archive.

Every user exists and has the password SECRET; `hashed` has HASHED_SECRET, of which the server knows
a hash only. A watchdog process stops Dovecot and removes the directory when the test ends, however
it ends.
"""
import base64
import grp
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HOST, HOST_EXPIRED, HOST_OTHER_NAME, HOST_EXPIRING = ("127.0.0.%d" % i for i in (2, 3, 4, 5))
NAME = "mail.lab.test"
SECRET, HASHED_SECRET = "s3cret {\"w0rd\\}", "h4shed"

CERTTOOL = {"cn": '"%s"', "dns_name": '"%s"', "ip_address": '"%s"'}

DOVECOT = """
base_dir = {T}/run
state_dir = {T}/state
log_path = {T}/dovecot.log
protocols = imap pop3
listen = 127.0.0.2, 127.0.0.3, 127.0.0.4, 127.0.0.5
default_login_user = {ME}
default_internal_user = {ME}
default_internal_group = {GROUP}
ssl = required
ssl_cert = <{T}/good.pem
ssl_key = <{T}/good.key
ssl_min_protocol = TLSv1.2
local 127.0.0.3 {{
  ssl_cert = <{T}/expired.pem
  ssl_key = <{T}/expired.key
}}
local 127.0.0.4 {{
  ssl_cert = <{T}/other.pem
  ssl_key = <{T}/other.key
}}
local 127.0.0.5 {{
  ssl_cert = <{T}/expiring.pem
  ssl_key = <{T}/expiring.key
}}
auth_mechanisms = plain login scram-sha-1 scram-sha-256
auth_failure_delay = 0
auth_verbose = yes
mail_fsync = never
mail_max_userip_connections = 100
mail_location = maildir:{T}/mail/%u
passdb {{
  driver = passwd-file
  args = username_format=%u {T}/users
  username_filter = hashed
}}
passdb {{
  driver = passwd-file
  args = username_format=anybody {T}/users
  username_filter = !hashed
}}
userdb {{
  driver = passwd-file
  args = username_format=%{{if;%u;*;*prefix*;prefix;other}} {T}/prefixed
}}
userdb {{
  driver = static
  args = uid={ME} gid={GROUP} home={T}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = .
  mailbox Abgelegt {{
    special_use = \\Archive
  }}
}}
protocol pop3 {{
  mail_max_userip_connections = 100
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
  chroot =
  service_count = 0
  process_min_avail = 1
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
  chroot =
  service_count = 0
  process_min_avail = 1
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""

# dovecot-lda logs to standard error, and wants no server.
DOVECOT_LDA = """
mail_location = maildir:{to}
log_path = /dev/stderr
postmaster_address = postmaster@lab.test
hostname = lab.test
mail_fsync = never
ssl = no
protocol lda {{
  mail_plugins =
}}
namespace inbox {{
  inbox = yes
}}
"""

EXIM = """
exim_user = {ME}
exim_group = {GROUP}
primary_hostname = lab.test
spool_directory = {T}/exim-spool
log_file_path = {T}/exim-spool/log-%s
keep_environment =
domainlist local_domains = lab.test
never_users =
return_path_remove = false
message_size_limit = 200M
begin routers
all:
  driver = accept
  domains = lab.test
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {to}
  maildir_format
  user = {ME}
  group = {GROUP}
  no_mode_fail_narrower
begin retry
* * F,1h,1m
"""

# Reads a line that never comes: standard input ends when the test's process does, however it dies.
WATCHDOG = """
exec 3<&0 </dev/null
/usr/sbin/dovecot -F -c "$1/dovecot.conf" 3<&- &
pid=$!
trap '' INT TERM HUP
read word <&3
kill $pid 2>/dev/null
wait $pid
[ "$word" = keep ] || { chmod -R u+rwx "$1"; rm -rf "$1"; }
"""


def free_ports(count, host=HOST):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind((host, 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(what, seconds, *why):
    """Waits until what() is true; True if it became so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    if why:
        raise TimeoutError(*why)
    return False


def make_maildir(path):
    for part in ("", "cur", "new", "tmp"):
        os.makedirs(os.path.join(path, part), mode=0o700, exist_ok=True)


class Certificates:
    """An own CA, and what it (or nobody) vouches for: PEM files in a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = self.make("ca", "ca\ncert_signing_key\nexpiration_days = 30", by=None)
        self.foreign_ca = self.make("foreign", "ca\ncert_signing_key\nexpiration_days = 30",
                                    by=None)
        self.good = self.server("good", [NAME], [HOST, "127.0.0.1"])
        self.server("other", ["other.lab.test"], [])
        self.server("expired", [NAME], [HOST_EXPIRED],
                    'activation_date = "2020-01-01 00:00:00 UTC"\n'
                    'expiration_date = "2021-01-01 00:00:00 UTC"')
        self.server("expiring", [NAME], [HOST_EXPIRING], "expiration_days = 7")

    def path(self, name, suffix=".pem"):
        return os.path.join(self.directory, name + suffix)

    def _certtool(self, *argv):
        done = subprocess.run(["certtool", *argv], cwd=self.directory, capture_output=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError("certtool %s: %s" % (argv, done.stderr.decode()))
        return done.stdout

    def make(self, name, template, by="ca"):
        """A key and a certificate, signed by the CA `by` or by itself."""
        key, pem, text = self.path(name, ".key"), self.path(name), self.path(name, ".template")
        with open(text, "w") as file:
            file.write('cn = "%s"\n%s\n' % (name, template))
        self._certtool("--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1",
                       "--no-text", "--outfile", key)
        sign = ["--generate-certificate", "--load-ca-certificate", self.path(by),
                "--load-ca-privkey", self.path(by, ".key")] if by else ["--generate-self-signed"]
        self._certtool(*sign, "--load-privkey", key, "--template", text, "--no-text",
                       "--outfile", pem)
        os.remove(text)
        return pem

    def server(self, name, names, addresses, validity="expiration_days = 90", by="ca"):
        return self.make(name, "\n".join(
            ["tls_www_server", "signing_key", validity] +
            ['dns_name = "%s"' % one for one in names] +
            ['ip_address = "%s"' % one for one in addresses]), by)

    def pin(self, name):
        """Base64 of the SHA-256 of the certificate's public key, as pin_sha256 wants it."""
        der = self._certtool("--pubkey-info", "--load-certificate", self.path(name), "--outder")
        return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Lab:
    """`with Lab() as lab:` — running when the block begins, gone when it ends."""

    def __init__(self, keep=False):
        self.keep = keep or bool(os.environ.get("MAILHAUL_KEEP_LAB"))
        self.path = tempfile.mkdtemp(prefix="mailhaul-lab-")
        self.me = pwd.getpwuid(os.geteuid()).pw_name
        self.group = grp.getgrgid(os.getegid()).gr_name
        self.watchdog = None
        self.certificates = Certificates(self.path)
        self.ca = self.certificates.ca
        self.ports = dict(zip(("imap", "imaps", "pop3", "pop3s"), free_ports(4)))
        os.mkdir(self.file("mail"))
        self._configure()

    def file(self, *names):
        return os.path.join(self.path, *names)

    def _configure(self):
        with open(self.file("users"), "w") as file:
            file.write("anybody:{PLAIN}%s\nhashed:{SSHA256}%s\n" % (
                SECRET, self._ssha256(HASHED_SECRET)))
        with open(self.file("prefixed"), "w") as file:
            file.write("prefix:x:%d:%d::%s::userdb_namespace/inbox/prefix=INBOX.\n" % (
                os.geteuid(), os.getegid(), self.file("mail", "%u")))
        with open(self.file("dovecot.conf"), "w") as file:
            file.write(DOVECOT.format(T=self.path, ME=self.me, GROUP=self.group, **self.ports))

    @staticmethod
    def _ssha256(secret, salt=b"salt"):
        return base64.b64encode(hashlib.sha256(secret.encode() + salt).digest() + salt).decode()

    def __enter__(self):
        self.watchdog = subprocess.Popen(["/bin/sh", "-c", WATCHDOG, "watchdog", self.path],
                                         stdin=subprocess.PIPE, start_new_session=True)
        try:
            wait_for(self._answers, 15)
            if not self._answers():
                raise RuntimeError("Dovecot does not answer: " + self.log())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.keep:
            print("kept: " + self.path)
            self.watchdog.stdin.write(b"keep\n")
        self.watchdog.stdin.close()
        self.watchdog.wait()

    def log(self):
        """Dovecot's log so far."""
        try:
            with open(self.file("dovecot.log"), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _answers(self):
        try:
            for protocol in ("imap", "pop3"):
                with socket.create_connection((HOST, self.ports[protocol]), 1) as one:
                    if not one.recv(100):
                        return False
            return True
        except OSError:
            return False

    # ---- mailboxes -------------------------------------------------------------------------------

    def mailbox(self, user, folder=None):
        path = self.file("mail", user)
        if folder:
            make_maildir(path)
            path = os.path.join(path, "." + folder)
        return path

    def fill(self, user, messages, folder=None):
        """Puts messages into the user's mailbox by writing Maildir files."""
        path = self.mailbox(user, folder)
        make_maildir(path)
        for one in messages:
            name = os.path.join(path, "new", "%d.M%08d.lab" % (one.date, one.number))
            with open(name, "wb") as file:
                file.write(one.raw)
            os.utime(name, (one.date, one.date))

    def left(self, user, folder=None):
        """Names of the messages that are on the server now, with their flags."""
        path = self.mailbox(user, folder)
        return [name for part in ("new", "cur") if os.path.isdir(os.path.join(path, part))
                for name in os.listdir(os.path.join(path, part))]

    def seen(self, user, folder=None):
        return [name for name in self.left(user, folder) if "S" in name.partition(":2,")[2]]

    def empty(self, user):
        shutil.rmtree(self.mailbox(user), ignore_errors=True)

    # ---- MDAs ------------------------------------------------------------------------------------

    def exim(self, home, to):
        """argv of an exim that delivers into the Maildir `to`; its files stand in home."""
        make_maildir(to)
        os.makedirs(os.path.join(home, "exim-spool"), exist_ok=True)
        path = os.path.join(home, "exim.conf")
        with open(path, "w") as file:
            file.write(EXIM.format(T=home, ME=self.me, GROUP=self.group, to=to))
        return ["/usr/sbin/exim4", "-C", path, "-odi", "-oi", "-f", "%{sender}", "--",
                "lee@lab.test"]

    def procmail(self, home, to):
        make_maildir(to)
        path = os.path.join(home, "procmailrc")
        with open(path, "w") as file:
            file.write("SHELL=/bin/sh\nMAILDIR=%s\nDEFAULT=%s/\nLOGFILE=%s/procmail.log\n"
                       % (home, to, home))
        return ["/usr/bin/procmail", "-f", "%{sender}", path]

    def maildrop(self, home, to):
        make_maildir(to)
        path = os.path.join(home, "mailfilter")
        with open(path, "w") as file:
            file.write('to "%s"\n' % to)
        os.chmod(path, 0o600)
        return ["/usr/bin/maildrop", path]

    def dovecot_lda(self, home, to):
        make_maildir(to)
        path = os.path.join(home, "lda.conf")
        with open(path, "w") as file:
            file.write(DOVECOT_LDA.format(to=to))
        return ["/usr/lib/dovecot/dovecot-lda", "-c", path, "-e", "-f", "%{sender}"]


def end_group(process):
    """Kills the process group of a child of ours that leads one, and waits."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
