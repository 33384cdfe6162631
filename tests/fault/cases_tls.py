"""TLS: who the peer is, how strong the connection is, and how it ends."""
import ssl

from actions import (HONEST, Close, Dribble, Flood, Handshake, Hangup, Openssl, Pause, Stall,
                     endless)
from bad import ALL, CLOSED, TAGGED_OK, WHOLE, Bad
from gnutls import FATAL, INTERNAL_ERROR, NO_RENEGOTIATION, TLS_1_2, TLS_1_3, Alerts, Gnutls

NAME = "mail.lab.test"
ALERT = b"\x15\x03\x03\x00\x02\x01"  # a warning; its number follows


def refused(name, certificate, words, **more):
    """A certificate that must not be believed; the words say why."""
    if isinstance(words, str):
        words = (words,)
    return Bad("certificate: " + name, {"handshake": [Handshake(certificate)]}, 76,
               ("certificate refused", "nothing was sent", *words), again=False, **more)


def accepted(name, certificate, **more):
    return Bad("certificate: " + name, {"handshake": [Handshake(certificate)]}, 0, arrives=ALL,
               again=False, **more)


def named(name):
    return {"tls": {"server_name": name}}


def by_openssl(name, code, words, certificate, *argv, arrives=frozenset(), **how):
    return Bad(name, {"handshake": [Openssl(certificate, *argv, **how)]}, code, words,
               arrives=arrives, again=False)


RSA = {"version": ssl.TLSVersion.TLSv1_2}
DHE = "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
MANY = 2000


def alerts(name, step, actions, code, words, priority=TLS_1_2, **more):
    """After a handshake by GnuTLS, at this step."""
    return Bad("alerts: " + name, {"handshake": [Gnutls(priority)], step: actions}, code, words,
               **more)


def floods(step, body):
    """step: where the messages are listed; body: the first half of a message."""
    return [
        alerts("a few warnings are read over", step, [Alerts(count=10), HONEST], 0, (),
               arrives=ALL),
        alerts("a flood of warnings in the list", step, [Alerts(count=MANY), Stall()], 76,
               "TLS broke off"),
        alerts("a flood of warnings in the list, TLS 1.3", step, [Alerts(count=MANY), Stall()], 75,
               "the alert", priority=TLS_1_3),
        alerts("a flood of another warning", step, [Alerts(NO_RENEGOTIATION, count=MANY),
                                                    Stall()], 76, "TLS broke off"),
        alerts("a flood of warnings in a message", "body 3", [body, Alerts(count=MANY), Stall()],
               76, "TLS broke off", arrives={1, 2}),
        alerts("warnings without end, one by one", step, [Alerts(count=10_000, seconds=0.05)],
               75, "octets of use"),
        alerts("a fatal one in the list", step, [Alerts(INTERNAL_ERROR, FATAL), Stall()], 75,
               "Internal error"),
        alerts("a fatal one in a message", "body 3", [body, Alerts(INTERNAL_ERROR, FATAL),
                                                      Stall()], 75, "Internal error",
               arrives={1, 2}),
    ]

BOTH = [
    refused("not yet valid", "not-yet", "it is valid from 2101-01-01"),
    refused("signed by itself", "self-signed", "issuer"),
    refused("of an unknown CA", "unknown-ca", "issuer"),
    refused("another name", "other", "names no address"),
    refused("another address", "other-address", "127.0.0.77"),
    refused("name in CN only", "cn-only", "a common name does not count", **named(NAME)),
    refused("address in CN only", "cn-address", "a common name does not count"),
    refused("address as a name", "address-as-name", "names no address"),
    refused("NUL in a name", "nul-in-name", (), **named(NAME)),
    refused("NUL in the CN", "nul-in-cn", (), **named(NAME)),
    refused("wildcard too high", "wild-high", NAME, **named(NAME)),
    refused("wildcard for everything", "wild-all", NAME, **named(NAME)),
    refused("wildcard too deep", "wild-deep", NAME, **named(NAME)),
    refused("wildcard inside", "wild-inner", NAME, **named(NAME)),
    refused("wildcard for a part of a label", "wild-part", NAME, **named(NAME)),
    refused("wildcard does not cover the domain itself", "wild", "lab.test", **named("lab.test")),
    accepted("wildcard in its place", "wild", **named(NAME)),
    refused("CA without the CA bit", "by-no-ca", ()),
    refused("CA that has expired", "by-old-ca", ()),
    refused("CA with a weak key", "by-weak-ca", ()),
    accepted("CA in between", "by-fine-ca"),
    refused("for clients only", "for-clients", "purpose"),
    refused("RSA of 1,024 bits", "rsa-1024", "insecure"),
    accepted("RSA of 2,048 bits", "rsa"),
    refused("signed with SHA-1", "sha-1", "insecure"),
    refused("signed with MD5", "md5", "insecure"),
    refused("CA in between that is signed with MD5", "by-md5-ca", "insecure"),
    refused("a critical extension that nobody knows", "strange", ()),
    refused("three thousand names", "many-names", "more than 1000 names"),
    accepted("nine hundred names, in several records", "some-names"),
    refused("demands a stapled status and shows none", "unstapled", "OCSP"),
    by_openssl("certificate: revoked by stapled OCSP", 76, ("revoked", "nothing was sent"),
               "revoked", "-status_file", "{revoked.ocsp}"),
    by_openssl("certificate: revoked by stapled OCSP, TLS 1.2", 76, "revoked", "revoked",
               "-status_file", "{revoked.ocsp}", "-tls1_2"),
    by_openssl("certificate: stapled OCSP of another certificate", 76, "nothing was sent",
               "stapled", "-status_file", "{revoked.ocsp}"),
    by_openssl("certificate: stapled OCSP that vouches for it", 0, (), "stapled", "-status_file",
               "{stapled.ocsp}", arrives=ALL),
    by_openssl("handshake: signed with SHA-1", 76, "nothing was sent", "rsa", "-tls1_2",
               "-sigalgs", "RSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"),
    Bad("handshake: DHE of 1,024 bits", {"handshake": [Handshake("rsa", ciphers=DHE, dh="short",
                                                                 **RSA)]}, 76, "nothing was sent"),
    Bad("handshake: DHE of 2,048 bits is good enough", {"handshake": [
        Handshake("rsa", ciphers=DHE, dh="long", **RSA)]}, 0, arrives=ALL),
    by_openssl("handshake: anonymous", 76, "nothing was sent", "good", "-tls1_2", "-cipher",
               "aNULL:@SECLEVEL=0"),
    by_openssl("handshake: no encryption", 76, "nothing was sent", "rsa", "-tls1_2", "-cipher",
               "NULL:@SECLEVEL=0"),
    by_openssl("TLS: renegotiation", 76, "renegotiate", "good", "-tls1_2", command=b"r\n"),
    by_openssl("TLS: renegotiation without end", 76, "renegotiate", "good", "-tls1_2",
               command=b"R\n", times=50),
    by_openssl("TLS: new keys without end", CLOSED, "TLS", "good", command=b"K\n", times=300),
    Bad("handshake: no forward secrecy", {"handshake": [Handshake(
        "rsa", ciphers="AES128-GCM-SHA256:@SECLEVEL=0", **RSA)]}, 76, "nothing was sent"),
    Bad("handshake: warnings without end", {"handshake": [Flood(ALERT + b"\x5a", 20_000_000)]},
        CLOSED, "TLS"),
    Bad("handshake: warnings, one by one", {"handshake": [Dribble(endless(ALERT + b"\x5a"), 0.02,
                                                                  7)]}, CLOSED, "TLS"),
    Bad("handshake: empty records without end", {"handshake": [Flood(b"\x16\x03\x03\0\0",
                                                                     20_000_000)]}, CLOSED, "TLS"),
    Bad("handshake: a fatal alert", {"handshake": [
        Pause(0.2), b"\x15\x03\x03\x00\x02\x02\x28", Hangup()]}, 76,
        ("alert", "nothing was sent")),
    Bad("handshake: close_notify", {"handshake": [Pause(0.2), ALERT + b"\x00", Hangup()]}, CLOSED,
        "nothing was sent"),
    Bad("handshake: SSL 3.0", {"handshake": [
        b"\x16\x03\x00\x00\x2e\x02\x00\x00\x2a\x03\x00" + b"\x07" * 32 + b"\0\0\x35\0\0\0",
        Hangup()]}, CLOSED, "nothing was sent"),
    Bad("pin right, chain bad", {"handshake": [Handshake("unknown-ca")]}, 0, arrives=ALL,
        tls={"ca_file": None, "pin_sha256": ["{pin unknown-ca}"]}, again=False),
    Bad("pin right, all else wrong", {"handshake": [Handshake("expired")]}, 0, arrives=ALL,
        tls={"pin_sha256": ["{pin expired}"], "server_name": "elsewhere.test"}, again=False),
    Bad("pin wrong, chain good", {}, 76, ("none of pin_sha256", "nothing was sent"), again=False,
        tls={"pin_sha256": ["{pin other}"]}),
    Bad("pin of the CA, not of the server", {}, 76, "none of pin_sha256", again=False,
        tls={"pin_sha256": ["{pin ca}"]}),
    Bad("implicit: another name", {"handshake": [Handshake("other")]}, 76, "nothing was sent",
        implicit=True),
    Bad("implicit: TLS 1.1", {"handshake": [Handshake(version=ssl.TLSVersion.TLSv1_1)]}, 76, "TLS",
        implicit=True),
    Bad("implicit: greets in clear", {"handshake": [b"* OK hello\r\n", Hangup()]}, 76,
        "does not answer with TLS", implicit=True),
    Bad("implicit: FIN", {"handshake": [Hangup()]}, CLOSED, "nothing was sent", implicit=True),
]

CUT = b"* {seq} FETCH (UID {uid} BODY[] {100000}\r\n" + WHOLE

IMAP = BOTH + floods("list", CUT) + [
    Bad("end: close_notify in a literal", {"body 3": [CUT, Close()]}, CLOSED, "closed",
        arrives={1, 2}),
    Bad("end: FIN in a literal", {"body 3": [CUT, Hangup()]}, CLOSED, arrives={1, 2}),
    Bad("end: FIN behind a literal, within its line", {"body 3": [
        b"* {seq} FETCH (UID {uid} BODY[] {%d}\r\n%s" % (len(WHOLE), WHOLE), Hangup()]}, CLOSED,
        arrives={1, 2}),
    Bad("end: close_notify between lines", {"body 3": [Close()]}, CLOSED, "closed",
        arrives={1, 2}),
    Bad("end: FIN between lines", {"body 3": [Hangup()]}, CLOSED, "closed", arrives={1, 2}),
    Bad("end: FIN within a line", {"list": [b"* 1 FETCH (UI", Hangup()]}, CLOSED, "closed"),
    Bad("end: FIN in the list", {"list": ["* 1 FETCH (UID 1)", Hangup()]}, CLOSED, "closed"),
    Bad("end: close_notify in the list", {"list": ["* 1 FETCH (UID 1)", Close()]}, CLOSED,
        "closed"),
    Bad("end: FIN after LOGOUT's OK", {"LOGOUT": ["* BYE", TAGGED_OK, Hangup()]}, 0, arrives=ALL),
    Bad("end: close_notify after LOGOUT's OK", {"LOGOUT": ["* BYE", TAGGED_OK, Close()]}, 0,
        arrives=ALL),
    Bad("end: FIN between LOGOUT's BYE and OK", {"LOGOUT": ["* BYE", Hangup()]}, 0, arrives=ALL),
    Bad("end: clear text after LOGOUT", {"LOGOUT": ["* BYE", TAGGED_OK, "* 1 FETCH (UID 1)",
                                                    Close()]}, 0, arrives=ALL),
]

POP3 = BOTH + floods("UIDL", b"+OK\r\n" + WHOLE) + [
    Bad("end: close_notify in a message", {"body 3": ["+OK", WHOLE, Close()]}, CLOSED, "closed",
        arrives={1, 2}),
    Bad("end: FIN before the dot", {"body 3": ["+OK", WHOLE + b".", Hangup()]}, CLOSED, "closed",
        arrives={1, 2}),
    Bad("end: FIN behind the dot", {"body 3": ["+OK", WHOLE + b".\r", Hangup()]}, CLOSED, "closed",
        arrives={1, 2}),
    Bad("end: close_notify between lines", {"body 3": [Close()]}, CLOSED, "closed",
        arrives={1, 2}),
    Bad("end: FIN in the list", {"UIDL": ["+OK", "1 uid-1", Hangup()]}, CLOSED, "closed"),
    Bad("end: close_notify in the list", {"UIDL": ["+OK", "1 uid-1", Close()]}, CLOSED, "closed"),
    Bad("end: FIN after QUIT's +OK", {"QUIT": ["+OK bye", Hangup()]}, 0, arrives=ALL, again=False),
    Bad("end: close_notify instead of QUIT's answer", {"QUIT": [Close()]}, 75, "closed",
        arrives=ALL),
]
