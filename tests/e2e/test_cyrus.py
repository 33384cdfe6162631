"""Against a real Cyrus: SCRAM with channel binding, and the way down where the server refuses it."""
import messages
from cyrus import Cyrus
from program import compare
from runner import case
from test_collect import user_of


def account(cyrus, home, mail, **keys):
    user = user_of(home)
    cyrus.user(user, mail)
    tls = {"ca_file": cyrus.lab.ca, **keys.pop("tls", {})}
    home.configure({"box": home.account(user, port=cyrus.port, tls=tls, **keys)})
    return user


@case(each=[("auto", "SCRAM-SHA-256-PLUS"), ("scram-sha-256-plus", "SCRAM-SHA-256-PLUS"),
            ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"), ("scram-sha-256", "SCRAM-SHA-256")])
def channel_binding(lab, home, auth, mechanism):
    """On TLS 1.2 Cyrus and we have tls-unique in common."""
    mail = messages.sample(3)
    with Cyrus(lab, tls=["1.2"]) as cyrus:
        account(cyrus, home, mail, auth=auth)
        result = home.poll("-v")
        compare(mail, home.letters())
        assert "TLS 1.2" in result.err and "by %s\n" % mechanism in result.err, result
        assert "refused" not in result.err, result
        home.log_shows_no_secret(result)


@case()
def channel_binding_that_the_server_does_not_know(lab, home):
    """On TLS 1.3 it refuses what it offers: auto goes on visibly, once, and remembers."""
    mail = messages.sample(3)
    with Cyrus(lab, tls=["1.3"]) as cyrus:
        account(cyrus, home, mail)
        result = home.poll()
        compare(mail, home.letters())
        assert "by SCRAM-SHA-256-PLUS although it offers it; trying SCRAM-SHA-256 instead" \
            in result.err, result
        result = home.poll("-v")
        assert "by SCRAM-SHA-256\n" in result.err and "refused" not in result.err, result


@case()
def channel_binding_by_name_has_no_way_down(lab, home):
    with Cyrus(lab, tls=["1.3"]) as cyrus:
        account(cyrus, home, messages.sample(1), auth="scram-sha-256-plus")
        result = home.poll(code=77)
        assert "SCRAM-SHA-256-PLUS" in result.err and "trying" not in result.err, result
        assert not home.letters()


@case()
def channel_binding_with_a_wrong_password(lab, home):
    with Cyrus(lab, tls=["1.2"]) as cyrus:
        account(cyrus, home, messages.sample(1), password="wr0ng", auth="scram-sha-256-plus")
        home.poll(code=77)
        assert not home.letters()
