"""Who the peer is: names, CAs, dates, pins; and what the user is told."""
import os

import lab as laboratory
import messages
from program import compare
from runner import EVERY, case
from test_collect import PROTOCOLS, one_account, user_of
from test_login import logins

WAYS = [(protocol, tls) for protocol in PROTOCOLS for tls in ("starttls", "implicit")]


def tls_account(lab, home, protocol, way, host=laboratory.HOST, **tls):
    user = user_of(home)
    mail = messages.sample(2)
    lab.fill(user, mail)
    tls = {"mode": way, "ca_file": lab.ca, **tls}
    account = home.account(user, protocol, way == "implicit", host=host)
    account["tls"] = {key: value for key, value in tls.items() if value is not None}
    home.configure({"box": account})
    return user, mail


def refused(lab, home, user, *words):
    result = home.poll(code=76)
    for word in words + ("nothing was sent",):
        assert word in result.err.lower(), "%r is not in %r" % (word, result)
    assert not logins(lab, user)
    home.log_shows_no_secret(result)
    assert not os.path.isdir(home.file("Maildir", "new")) or not home.letters()


@case(servers=EVERY, each=WAYS)
def name_is_verified(lab, home, protocol, way):
    user, mail = tls_account(lab, home, protocol, way, server_name=laboratory.NAME)
    home.poll()
    compare(mail, home.letters(), protocol)


@case(each=WAYS)
def wrong_name(lab, home, protocol, way):
    user, _ = tls_account(lab, home, protocol, way, laboratory.HOST_OTHER_NAME)
    refused(lab, home, user, "name")


@case(servers=EVERY, each=PROTOCOLS)
def wrong_server_name(lab, home, protocol):
    user, _ = tls_account(lab, home, protocol, "starttls", server_name="elsewhere.lab.test")
    refused(lab, home, user, "elsewhere.lab.test")


@case(each=WAYS)
def expired(lab, home, protocol, way):
    user, _ = tls_account(lab, home, protocol, way, laboratory.HOST_EXPIRED)
    refused(lab, home, user, "expired")


@case(servers=EVERY, each=WAYS)
def unknown_ca(lab, home, protocol, way):
    user, _ = tls_account(lab, home, protocol, way, ca_file=lab.certificates.foreign_ca)
    refused(lab, home, user, "pin_sha256")


@case()
def system_trust_does_not_know_it(lab, home):
    user, _ = tls_account(lab, home, "imap", "starttls", ca_file=None)
    refused(lab, home, user, "ca_file")


@case(each=WAYS)
def right_pin(lab, home, protocol, way):
    """With a pin, CA, name and dates are not asked."""
    user, mail = tls_account(lab, home, protocol, way, laboratory.HOST_EXPIRED, ca_file=None,
                             pin_sha256=[lab.certificates.pin("expired")])
    home.poll()
    compare(mail, home.letters(), protocol)


@case(each=WAYS)
def wrong_pin(lab, home, protocol, way):
    """A good certificate does not help where the key is not the pinned one."""
    user, _ = tls_account(lab, home, protocol, way, pin_sha256=[lab.certificates.pin("other")])
    refused(lab, home, user, "pin")


@case(servers=EVERY)
def one_of_two_pins(lab, home):
    user, mail = tls_account(lab, home, "imap", "starttls", ca_file=None, pin_sha256=[
        lab.certificates.pin("other"), lab.certificates.pin("good")])
    home.poll()
    compare(mail, home.letters())


@case(servers=EVERY)
def only_tls_1_3(lab, home):
    user, mail = tls_account(lab, home, "imap", "starttls", min_version="1.3")
    assert "TLS 1.3" in home.poll("-v").err
    compare(mail, home.letters())


@case()
def ca_file_missing(lab, home):
    tls_account(lab, home, "imap", "starttls", ca_file=home.file("nowhere.pem"))
    result = home.poll(code=78)
    assert "nowhere.pem" in result.err, result


@case()
def certificate_that_expires_soon(lab, home):
    tls_account(lab, home, "imap", "starttls", laboratory.HOST_EXPIRING)
    result = home.poll("-v")
    assert "expires" in result.err, result


@case(servers=EVERY, each=PROTOCOLS)
def implicit_tls_to_the_starttls_port(lab, home, protocol):
    """The server greets in clear where a handshake was expected."""
    user = one_account(lab, home, protocol, messages.sample(1), implicit=True,
                       port=lab.ports[protocol], timeout="5s")
    home.poll(code=76)
    assert not logins(lab, user)


@case(each=PROTOCOLS)
def unreachable(lab, home, protocol):
    one_account(lab, home, protocol, port=laboratory.free_ports(1)[0])
    result = home.poll("-v", code=69)
    assert "127.0.0.2" in result.err, result


@case()
def no_such_host(lab, home):
    one_account(lab, home, "imap", host="no-such-host.invalid")
    result = home.poll("-v", code=69, timeout=50)
    assert "no-such-host.invalid" in result.err, result


@case(servers=EVERY, each=WAYS)
def encryption_can_be_seen(lab, home, protocol, way):
    tls_account(lab, home, protocol, way)
    logged = home.poll("-v").err
    shown = home.run("status")
    tested = home.run("test")
    assert shown.code == 0 and tested.code == 0, (shown, tested)
    for text in (logged, shown.out, tested.out):
        assert "TLS 1.3" in text and "AES" in text.upper() + "CHACHA AES", text
        assert ("starttls" if way == "starttls" else "implicit") in text.lower(), text
    assert " by %s\n" % ("PLAIN" if lab.server == "courier" else "SCRAM-SHA-256") in logged, logged
