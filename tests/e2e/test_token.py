"""Logins without a password: OAuth tokens and certificates of clients; and secrets that are shared,
or kept in a netrc or by systemd."""
import base64
import os

import messages
from auth_lab import AuthLab
from lab import SECRET
from program import compare
from runner import case
from test_collect import PROTOCOLS, one_account, user_of
from test_login import logins

TOKEN = "ya29.a0AfB_by-s3cret~token/+=="
TOKENS = {"auto": "OAUTHBEARER", "xoauth2": "XOAUTH2", "OAuthBearer": "OAUTHBEARER"}


def helper(home, text):
    """A token command that leaves a line for each of its runs; $n is the number of this one."""
    return [home.script("helper", "echo run >>%s\nn=$(wc -l <%s)\n%s" % (
        home.file("runs"), home.file("runs"), text))]


def runs(home):
    try:
        with open(home.file("runs")) as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def at(there, home, protocol="imap", mail=(), **keys):
    """An account at the other Dovecot, without a password."""
    home.lab = there
    user = user_of(home)
    there.fill(user, mail)
    home.configure({"box": home.account(user, protocol, password=None, **keys)})
    return user


def tls(auth, **keys):
    return {"ca_file": auth.ca, **keys}


# ---- tokens --------------------------------------------------------------------------------------

@case(each=[(protocol, name) for protocol in PROTOCOLS for name in TOKENS])
def token(lab, home, protocol, name):
    mail = messages.sample(2)
    with AuthLab(lab) as auth:
        user = at(auth, home, protocol, mail, auth=name,
                  token_command=helper(home, "echo '%s'" % TOKEN))
        auth.good[TOKEN] = user
        result = home.poll("--trace")
        compare(mail, home.letters(), protocol)
        assert logins(auth, user) == [TOKENS[name]], logins(auth, user)
        assert auth.asked == [TOKEN] and runs(home) == 1, auth.asked
        shown = result.out + result.err
        assert TOKEN not in shown, result
        assert base64.b64encode(b"user=%s\1auth=Bearer " % user.encode()).decode()[:12] not in shown
        result = home.poll()
        assert result.out + result.err == "", result


@case(each=PROTOCOLS)
def token_as_long_as_they_come(lab, home, protocol):
    """Microsoft's have some thousands of letters: more than a line of POP3 may hold."""
    long = "eyJ" + "x" * 4000
    with AuthLab(lab) as auth:
        user = at(auth, home, protocol, messages.sample(1), auth="xoauth2",
                  token_command=helper(home, "echo " + long))
        auth.good[long] = user
        home.poll()
        assert len(home.letters()) == 1 and auth.asked == [long]


@case(each=PROTOCOLS)
def token_refused_once(lab, home, protocol):
    """It ran out; the helper has another. Nothing that cron must know."""
    mail = messages.sample(2)
    with AuthLab(lab) as auth:
        user = at(auth, home, protocol, mail, token_command=helper(home, "echo token-$n"))
        auth.good.update({"token-2": user, "token-4": user})
        result = home.poll()
        compare(mail, home.letters(), protocol)
        assert auth.asked == ["token-1", "token-2"], auth.asked
        assert result.out + result.err == "", result
        result = home.poll("-v")
        assert "is asked for another" in result.err, result
        assert auth.asked[2:] == ["token-3", "token-4"], auth.asked


@case(each=PROTOCOLS)
def token_refused_twice(lab, home, protocol):
    """Then the login has failed, the server's own words are shown, and it is left alone."""
    with AuthLab(lab) as auth:
        user = at(auth, home, protocol, messages.sample(1),
                  token_command=helper(home, "echo token-$n"))
        result = home.poll(code=77)
        assert auth.asked == ["token-1", "token-2"], auth.asked
        assert "another token" in result.err and "invalid_token" in result.err, result
        assert "token-1" not in result.err, result
        home.poll(code=77)
        assert len(auth.asked) == 2, "the server was asked again"
        auth.good["token-4"] = user
        assert home.run("poll", "box").code == 0
        assert len(home.letters()) == 1


@case()
def token_of_another(lab, home):
    """A good token of somebody else opens nobody's mailbox."""
    with AuthLab(lab) as auth:
        user = at(auth, home, mail=messages.sample(1), auth="oauthbearer",
                  token_command=helper(home, "echo t0ken"))
        auth.good["t0ken"] = "somebody-else"
        home.poll(code=77)
        assert not logins(auth, user)


@case()
def token_where_none_is_taken(lab, home):
    """A token is never sent as a password."""
    user = user_of(home)
    lab.fill(user, messages.sample(1))
    home.configure({"box": home.account(user, password=None, token_command=["/bin/echo", SECRET])})
    result = home.poll(code=77)
    assert "a token" in result.err and "SCRAM-SHA-256" in result.err, result
    assert not logins(lab, user)


@case()
def no_token_but_a_sentence(lab, home):
    with AuthLab(lab) as auth:
        at(auth, home, token_command=helper(home, "echo Please log in first"))
        result = home.poll(code=77)
        assert "no token" in result.err and "Please" not in result.err, result
        assert not auth.asked


@case(each=[("floods", "head -c 50000000 /dev/zero | tr '\\0' x"), ("hangs", "sleep 100"),
            ("fails", "echo t0ken\necho the session is over >&2\nexit 4")])
def token_command(lab, home, how, text):
    with AuthLab(lab) as auth:
        at(auth, home, token_command=helper(home, text), timeout="2s")
        result = home.poll(code=77, timeout=30)
        assert "token_command" in result.err and "helper" in result.err, result
        assert "xxxxxxxx" not in result.err and "t0ken" not in result.err, result
        assert how != "fails" or ("the session is over" in result.err and "4" in result.err), result
        assert runs(home) == 1 and not auth.asked


# ---- shared --------------------------------------------------------------------------------------

def several(home, count, **keys):
    home.configure({"box%d" % i: home.account(
        "%s-%d" % (user_of(home), i), password=None,
        deliver={"maildir": home.file("Maildir%d" % i)}, **keys) for i in range(count)})
    for i in range(count):
        home.lab.fill("%s-%d" % (user_of(home), i), messages.sample(1))


@case()
def one_command_for_many_accounts(lab, home):
    """Run once in a poll, however many name it; and one with other arguments is another."""
    secret = home.write("secret", SECRET + "\n")
    several(home, 6, password_command=helper(home, "sleep 0.3\ncat %s\n" % secret))
    home.poll()
    assert runs(home) == 1, runs(home)
    assert all(len(home.letters("Maildir%d" % i)) == 1 for i in range(6))
    home.poll()
    assert runs(home) == 2, runs(home)


@case()
def one_failure_for_many_accounts(lab, home):
    several(home, 6, password_command=helper(home, "echo locked >&2\nexit 1"))
    result = home.poll(code=77)
    assert runs(home) == 1, runs(home)
    assert result.err.count("locked") == 6, result


# ---- certificates --------------------------------------------------------------------------------

@case(each=[(protocol, name) for protocol in PROTOCOLS for name in ("auto", "external")])
def certificate(lab, home, protocol, name):
    mail = messages.sample(2)
    with AuthLab(lab) as auth:
        pem, key = auth.client(user_of(home))
        user = at(auth, home, protocol, mail, auth=name,
                  tls=tls(auth, client_cert=pem, client_key=key))
        home.poll()
        compare(mail, home.letters(), protocol)
        assert logins(auth, user) == ["EXTERNAL"], logins(auth, user)


@case()
def certificate_and_key_in_one_file(lab, home):
    mail = messages.sample(1)
    with AuthLab(lab) as auth:
        pem, key = auth.client(user_of(home))
        both = home.write("both.pem", open(pem).read() + open(key).read())
        at(auth, home, "imap", mail, tls=tls(auth, client_cert="both.pem"))
        home.poll()
        compare(mail, home.letters())
        os.chmod(both, 0o644)
        result = home.poll(code=78)
        assert "both.pem" in result.err and "chmod 600" in result.err, result


@case()
def certificate_of_another(lab, home):
    """The mailbox that the account names is asked for, not the one that the certificate opens."""
    with AuthLab(lab) as auth:
        pem, key = auth.client("somebody-else")
        user = at(auth, home, mail=messages.sample(1),
                  tls=tls(auth, client_cert=pem, client_key=key))
        home.poll(code=77)
        assert not logins(auth, user) and not logins(auth, "somebody-else")


@case()
def certificate_is_not_asked_for(lab, home):
    """The other server does not ask: nothing is left to log in with."""
    with AuthLab(lab) as auth:
        pem, key = auth.client(user_of(home))
        one_account(lab, home, "imap", messages.sample(1), password=None,
                    tls={"ca_file": lab.ca, "client_cert": pem, "client_key": key})
        result = home.poll(code=77)
        assert "a certificate that the server asked for" in result.err, result


@case()
def certificate_that_cannot_be(lab, home):
    with AuthLab(lab) as auth:
        pem, key = auth.client(user_of(home))
        os.chmod(key, 0o640)
        at(auth, home, tls=tls(auth, client_cert=pem, client_key=key))
        result = home.poll(code=78)
        assert key in result.err and "chmod 600" in result.err, result
        at(auth, home, tls=tls(auth, client_cert=pem, client_key="nowhere.key"))
        result = home.poll("-v", code=78)
        assert "nowhere.key" in result.err, result


@case()
def password_beside_a_certificate(lab, home):
    """Who shows no certificate logs in by password, although EXTERNAL is offered."""
    mail = messages.sample(1)
    with AuthLab(lab) as auth:
        user = at(auth, home, "imap", mail)
        home.configure({"box": home.account(user)})
        home.poll()
        compare(mail, home.letters())
        assert logins(auth, user) == ["SCRAM-SHA-256"], logins(auth, user)


@case(each=PROTOCOLS)
def cram_md5_when_it_is_named(lab, home, protocol):
    with AuthLab(lab) as auth:
        user = at(auth, home, protocol, messages.sample(1))
        home.configure({"box": home.account(user, protocol, auth="cram-md5")})
        home.poll()
        assert logins(auth, user) == ["CRAM-MD5"], logins(auth, user)


# ---- netrc and credentials -----------------------------------------------------------------------

def by_netrc(lab, home, text, mode=0o600):
    user = one_account(lab, home, "imap", messages.sample(1), password=None, netrc=True)
    return home.write(".netrc", text.replace("USER", user), mode)


NETRC = """# passwords
machine ftp.example.org login lee password wr0ng
machine 127.0.0.2
    login somebody password wr0ng
machine 127.0.0.2 login USER password "s3cret {\\"w0rd\\\\}"
default password wr0ng
"""


@case()
def netrc(lab, home):
    by_netrc(lab, home, NETRC)
    result = home.poll()
    assert result.out + result.err == "" and len(home.letters()) == 1, result


@case()
def netrc_others_can_read(lab, home):
    path = by_netrc(lab, home, NETRC, 0o644)
    result = home.poll(code=78)
    assert path in result.err and "chmod 600" in result.err, result
    home.log_shows_no_secret(result)


@case()
def netrc_elsewhere(lab, home):
    path = by_netrc(lab, home, NETRC)
    os.rename(path, home.file("other"))
    home.poll(env={"NETRC": home.file("other")})
    assert len(home.letters()) == 1


@case(each=[("gone", None, 77), ("lacks", "machine 127.0.0.2 login lee password x", 77),
            ("broken", "machine 127.0.0.2\nlogin USER\npasswd s3cret-word\n", 78)])
def netrc_is_of_no_use(lab, home, how, text, code):
    path = by_netrc(lab, home, text or "")
    if text is None:
        os.remove(path)
    result = home.poll(code=code)
    assert ".netrc" in result.err and "s3cret-word" not in result.err, result
    assert how != "broken" or "line 3" in result.err, result


@case()
def credential(lab, home):
    mail = messages.sample(1)
    home.write("credentials/mail", SECRET, 0o440)
    one_account(lab, home, "imap", mail, password=None, credential="mail")
    result = home.run("poll")
    assert result.code == 78 and "CREDENTIALS_DIRECTORY" in result.err, result
    home.poll(env={"CREDENTIALS_DIRECTORY": home.file("credentials")})
    compare(mail, home.letters())
