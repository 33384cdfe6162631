"""Certificates of every wrong kind: who would be deceived by them has lost the password."""
import base64
import subprocess
import textwrap

from lab import HOST, NAME

RSA = ("--key-type", "rsa", "--bits")
CA = "ca\ncert_signing_key"
MD5 = ("--hash", "MD5")
MONTH = "expiration_days = 30"
LONG_GONE = ('activation_date = "2020-01-01 00:00:00 UTC"\n'
             'expiration_date = "2021-01-01 00:00:00 UTC"')
NOT_YET = ('activation_date = "2101-01-01 00:00:00 UTC"\n'
           'expiration_date = "2102-01-01 00:00:00 UTC"')
MUST_STAPLE = "tls_feature = 5"


def _openssl(*argv, octets=b""):
    done = subprocess.run(["openssl", *argv], input=octets, capture_output=True)
    if done.returncode:
        raise RuntimeError("openssl %s: %s" % (argv, done.stderr.decode()))
    return done.stdout


def _elements(octets):
    """The DER elements that stand one behind the other."""
    while octets:
        head, length = 2, octets[1]
        if length & 0x80:
            head += length & 0x7f
            length = int.from_bytes(octets[2:head], "big")
        yield octets[:head + length]
        octets = octets[head + length:]


def _sequence(*parts):
    inner = b"".join(parts)
    count = (len(inner).bit_length() + 7) // 8
    head = bytes([len(inner)]) if len(inner) < 128 else \
        bytes([0x80 | count]) + len(inner).to_bytes(count, "big")
    return b"\x30" + head + inner


def _contents(element):
    """What stands in a sequence: the first octets of an element are its type and length."""
    return element[2 + (element[1] & 0x7f if element[1] & 0x80 else 0):]


def _put_octets(made, name, old, new):
    """Replaces octets by as many others, which no tool would put there, and signs it anew."""
    with open(made.path(name)) as file:
        lines = [line for line in file.read().split("\n") if line and "-----" not in line]
    der = base64.b64decode("".join(lines))
    tbs, algorithm, _ = _elements(_contents(der))
    tbs = tbs.replace(old, new)
    signature = _openssl("dgst", "-sha256", "-sign", made.path("ca", ".key"), octets=tbs)
    bits = b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature
    text = base64.b64encode(_sequence(tbs, algorithm, bits)).decode()
    with open(made.path(name), "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
                   % "\n".join(textwrap.wrap(text, 64)))


def _staple(made, name, revoked):
    """The CA's word on a certificate (RFC 6960), in NAME.ocsp."""
    serial = _openssl("x509", "-in", made.path(name), "-noout", "-serial").decode()
    serial = serial.strip().partition("=")[2]
    index = made.path(name, ".index")
    with open(index, "w") as file:
        file.write("%s\t300101000000Z\t%s\t%s\tunknown\t/CN=%s\n" % (
            ("R", "250101000000Z", serial, name) if revoked else ("V", "", serial, name)))
    request = made.path(name, ".request")
    _openssl("ocsp", "-issuer", made.ca, "-cert", made.path(name), "-no_nonce", "-reqout", request)
    _openssl("ocsp", "-index", index, "-CA", made.ca, "-rsigner", made.ca, "-rkey",
             made.path("ca", ".key"), "-reqin", request, "-respout", made.path(name, ".ocsp"),
             "-ndays", "7")


def _append(made, name, *others):
    """A server shows the certificates of those who signed along with its own."""
    with open(made.path(name), "a") as file:
        for other in others:
            with open(made.path(other)) as shown:
                file.write(shown.read())


def _many_names(made, name, count):
    """A certificate of several records. certtool takes a hundred names only."""
    made.server(name, [NAME], [HOST])
    with open(made.path(name, ".names"), "w") as file:
        file.write("extendedKeyUsage=serverAuth\nsubjectAltName=IP:%s,%s\n" % (
            HOST, ",".join("DNS:one-of-many-names-%d.lab.test" % n for n in range(count))))
    request = _openssl("req", "-new", "-key", made.path(name, ".key"), "-subj", "/CN=many")
    signed = _openssl("x509", "-req", "-CA", made.ca, "-CAkey", made.path("ca", ".key"),
                      "-CAcreateserial", "-days", "30", "-extfile", made.path(name, ".names"),
                      octets=request)
    with open(made.path(name), "wb") as file:
        file.write(signed)


def make_wrong(made):
    """Adds to the laboratory's."""
    made.server("not-yet", [NAME], [HOST], NOT_YET)
    for name, pattern in (("wild", "*.lab.test"), ("wild-high", "*.test"), ("wild-all", "*"),
                          ("wild-deep", "*.mail.lab.test"), ("wild-inner", "mail.*.test"),
                          ("wild-part", "m*.lab.test")):
        made.server(name, [pattern], [])
    made.server("cn-only", [], [], cn=NAME)
    made.server("cn-address", [], [], cn=HOST)
    made.server("address-as-name", [HOST], [])
    made.server("other-address", [NAME], ["127.0.0.77"])
    made.server("nul-in-name", [NAME + "#.evil.test"], [])
    made.server("nul-in-cn", [], [], cn=NAME + "#.evil.test")
    for name in ("nul-in-name", "nul-in-cn"):
        _put_octets(made, name, b"#.evil", b"\0.evil")
    made.server("self-signed", [NAME], [HOST], by=None)
    made.server("unknown-ca", [NAME], [HOST], by="foreign")
    made.make("no-ca", "signing_key\n" + MONTH)
    made.make("old-ca", CA + "\n" + LONG_GONE)
    made.make("weak-ca", CA + "\n" + MONTH, key_type=(*RSA, "1024"))
    made.make("rsa-ca", CA + "\n" + MONTH, key_type=(*RSA, "2048"))
    made.make("md5-ca", CA + "\n" + MONTH, by="rsa-ca", sign_with=MD5)
    made.make("fine-ca", CA + "\n" + MONTH)
    for kind in ("no-ca", "old-ca", "weak-ca", "md5-ca", "fine-ca"):
        made.server("by-" + kind, [NAME], [HOST], by=kind)
        _append(made, "by-" + kind, kind)
    _append(made, "by-md5-ca", "rsa-ca")
    made.server("md5", [NAME], [HOST], by="rsa-ca", sign_with=MD5)  # ECDSA knows no MD5
    _append(made, "md5", "rsa-ca")
    made.make("for-clients", 'tls_www_client\nsigning_key\n%s\nip_address = "%s"' % (MONTH, HOST))
    made.server("rsa", [NAME], [HOST], key_type=(*RSA, "2048"))
    made.server("rsa-1024", [NAME], [HOST], key_type=(*RSA, "1024"))
    made.server("sha-1", [NAME], [HOST], sign_with=("--hash", "SHA1"))
    for name, bits in (("short", "1024"), ("long", "2048")):
        _openssl("dhparam", "-dsaparam", "-out", made.path(name, ".dh"), bits)
    made.server("strange", [NAME], [HOST],
                MONTH + '\nadd_critical_extension = "1.2.3.4.5 0x0500"')
    _many_names(made, "many-names", 3000)
    _many_names(made, "some-names", 900)
    steering = "\x1b]0;owned\x07\u202e\u009b mark"
    made.make("steering-ca", CA + "\n" + MONTH, cn=steering)
    made.server("steering-issuer", [NAME], [], by="steering-ca")
    made.server("steering-name", ["########-mark.test"], [])
    _put_octets(made, "steering-name", b"########", b"\x1b]0;\x07\x9b\x1b[")
    made.server("revoked", [NAME], [HOST])
    made.server("stapled", [NAME], [HOST], MONTH + "\n" + MUST_STAPLE)
    made.server("unstapled", [NAME], [HOST], MONTH + "\n" + MUST_STAPLE)
    _staple(made, "revoked", True)
    _staple(made, "stapled", False)
