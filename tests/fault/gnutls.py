"""A server's TLS by GnuTLS, which sends alerts when it is told to; neither Python nor openssl
s_server do."""
import ctypes
import socket
import time

from actions import Action, Ended

LIBRARY = "libgnutls.so.30"
SERVER, CERTIFICATE, PEM = 1, 1, 1  # GNUTLS_SERVER, GNUTLS_CRD_CERTIFICATE, GNUTLS_X509_FMT_PEM
WARNING, FATAL = 1, 2
USER_CANCELED, NO_RENEGOTIATION, INTERNAL_ERROR = 90, 100, 80
TLS_1_2, TLS_1_3 = ("NORMAL:-VERS-ALL:+VERS-TLS1." + minor for minor in "23")


class Session:
    """Has the face of a socket."""

    def __init__(self, connection, certificate, key, priority):
        self.library, self.connection = ctypes.CDLL(LIBRARY), connection
        self.library.gnutls_record_send.restype = ctypes.c_ssize_t
        self.library.gnutls_record_recv.restype = ctypes.c_ssize_t
        self.session, credentials = ctypes.c_void_p(), ctypes.c_void_p()
        connection.settimeout(None)
        self._must("certificate_allocate_credentials", ctypes.byref(credentials))
        self._must("certificate_set_x509_key_file", credentials, certificate.encode(),
                   key.encode(), PEM)
        self._must("init", ctypes.byref(self.session), SERVER)
        self._must("priority_set_direct", self.session, priority.encode(), None)
        self._must("credentials_set", self.session, CERTIFICATE, credentials)
        self.library.gnutls_transport_set_int2(self.session, connection.fileno(),
                                               connection.fileno())
        self._must("handshake", self.session)

    def _must(self, name, *args):
        if getattr(self.library, "gnutls_" + name)(*args) < 0:
            raise Ended

    def sendall(self, octets):
        while octets:
            sent = self.library.gnutls_record_send(self.session, octets,
                                                   ctypes.c_size_t(len(octets)))
            if sent < 0:
                raise Ended
            octets = octets[sent:]

    def recv(self, count):
        room = ctypes.create_string_buffer(count)
        got = self.library.gnutls_record_recv(self.session, room, ctypes.c_size_t(count))
        return room.raw[:max(got, 0)]

    def alert(self, level, number):
        self._must("alert_send", self.session, level, number)

    def shutdown(self, how):
        self.connection.shutdown(how)

    def close(self):
        self.connection.close()


class Gnutls(Action):
    """The handshake."""

    def __init__(self, priority=TLS_1_2, certificate="good"):
        self.priority, self.certificate = priority, certificate

    def do(self, wire, fill):
        made = wire.server.certificates
        wire.socket = Session(wire.socket, made.path(self.certificate),
                              made.path(self.certificate, ".key"), self.priority)
        wire.encrypted = True


class Alerts(Action):
    """So many of them, in few segments, or so far apart."""

    def __init__(self, number=USER_CANCELED, level=WARNING, count=1, seconds=0.0):
        self.number, self.level, self.count, self.seconds = number, level, count, seconds

    def do(self, wire, fill):
        tcp = wire.socket.connection
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, not self.seconds)
        for _ in range(self.count):
            wire.socket.alert(self.level, self.number)
            time.sleep(self.seconds)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
