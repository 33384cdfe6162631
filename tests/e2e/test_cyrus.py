"""Against a real Cyrus: SCRAM with channel binding, and the way down where the server refuses it."""
import messages
from program import compare
from runner import case
from test_collect import one_account

CYRUS = ("cyrus",)


@case(servers=CYRUS, each=[
    (protocol, auth, mechanism) for protocol in ("imap", "pop3") for auth, mechanism in (
        ("auto", "SCRAM-SHA-256-PLUS"), ("scram-sha-256-plus", "SCRAM-SHA-256-PLUS"),
        ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"), ("scram-sha-256", "SCRAM-SHA-256"))])
def channel_binding(lab, home, protocol, auth, mechanism):
    """On TLS 1.2 Cyrus and we have tls-unique in common."""
    mail = messages.sample(3)
    one_account(lab, home, protocol, mail, auth=auth, port=lab.ports[protocol + "-1.2"])
    result = home.poll("-v")
    compare(mail, home.letters(), protocol)
    assert "TLS 1.2" in result.err and "by %s\n" % mechanism in result.err, result
    assert "refused" not in result.err, result
    home.log_shows_no_secret(result)


@case(servers=CYRUS)
def channel_binding_that_the_server_does_not_know(lab, home):
    """On TLS 1.3 it refuses what it offers: auto goes on visibly, once, and remembers."""
    mail = messages.sample(3)
    one_account(lab, home, "imap", mail, auth="auto")
    result = home.poll()
    compare(mail, home.letters())
    assert "by SCRAM-SHA-256-PLUS although it offers it; trying SCRAM-SHA-256 instead" \
        in result.err, result
    result = home.poll("-v")
    assert "by SCRAM-SHA-256\n" in result.err and "refused" not in result.err, result


@case(servers=CYRUS)
def channel_binding_by_name_has_no_way_down(lab, home):
    one_account(lab, home, "imap", messages.sample(1), auth="scram-sha-256-plus")
    result = home.poll(code=77)
    assert "SCRAM-SHA-256-PLUS" in result.err and "trying" not in result.err, result
    assert not home.letters()


@case(servers=CYRUS)
def channel_binding_with_a_wrong_password(lab, home):
    one_account(lab, home, "imap", messages.sample(1), password="wr0ng", auth="scram-sha-256-plus",
                port=lab.ports["imap-1.2"])
    home.poll(code=77)
    assert not home.letters()
