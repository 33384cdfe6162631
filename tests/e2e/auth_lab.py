"""A Dovecot beside the laboratory's, for logins that need more than a password: OAuth tokens that it
asks a web server about, and certificates of clients.

`with AuthLab(lab) as auth:` — auth.good holds the tokens that are good now, auth.asked those that
were asked about.
"""
import grp
import http.server
import json
import os
import pwd
import shutil
import tempfile
import threading
import urllib.parse

from lab import Certificates, Lab, free_ports

PASSWORDS = "mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256"

MORE = """
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer external
ssl_ca = <{T}/ca.pem
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_username_from_cert = yes
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {T}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = external
  args = nopassword=y
}}
"""

OAUTH2 = """
introspection_mode = post
introspection_url = http://127.0.0.1:{port}/introspect
username_attribute = username
active_attribute = active
active_value = true
"""


class Introspection(http.server.BaseHTTPRequestHandler):
    """Says whose token it is, and whether it is good (RFC 7662)."""

    def do_POST(self):
        fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        token = fields["token"][0]
        self.server.lab.asked.append(token)
        user = self.server.lab.good.get(token)
        text = json.dumps({"active": user is not None, "username": user or ""}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class AuthLab(Lab):
    def __init__(self, lab):
        self.keep, self.watchdog = lab.keep, None
        self.path = tempfile.mkdtemp(prefix="mailhaul-auth-lab-")
        self.me = pwd.getpwuid(os.geteuid()).pw_name
        self.group = grp.getgrgid(os.getegid()).gr_name
        for name in os.listdir(lab.certificates.directory):
            if name.endswith((".pem", ".key")):
                shutil.copy2(lab.certificates.path(name, ""), self.path)
        self.certificates = Certificates.__new__(Certificates)
        self.certificates.directory = self.path
        self.ca = self.file("ca.pem")
        self.ports = dict(zip(("imap", "imaps", "pop3", "pop3s"), free_ports(4)))
        self.good, self.asked = {}, []
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Introspection)
        self.web.daemon_threads = True
        self.web.lab = self
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        os.mkdir(self.file("mail"))
        self._configure()

    def _configure(self):
        super()._configure()
        with open(self.file("dovecot.conf")) as file:
            text = file.read().replace("driver = passwd-file", "driver = passwd-file\n  " + PASSWORDS)
        with open(self.file("dovecot.conf"), "w") as file:
            file.write(text + MORE.format(T=self.path))
        with open(self.file("oauth2.conf"), "w") as file:
            file.write(OAUTH2.format(port=self.web.server_address[1]))

    def __exit__(self, *_):
        super().__exit__()
        self.web.shutdown()
        self.web.server_close()

    def client(self, name):
        """A certificate for this user: paths of the certificate and of its key."""
        pem = self.certificates.make("client-" + name, "tls_www_client\nsigning_key\n"
                                     "expiration_days = 30", cn=name)
        key = self.certificates.path("client-" + name, ".key")
        os.chmod(key, 0o600)
        return pem, key
