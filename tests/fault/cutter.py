"""A proxy that cuts a connection after so many octets, counted in both directions together."""
import selectors
import socket
import threading

HOST = "127.0.0.2"


class Cutter:
    """`with Cutter(host, port, after) as cutter:` listens on cutter.port. after: None never cuts.
    passed: octets of the longest connection; cut: how many were cut."""

    def __init__(self, host, port, after=None):
        self.target, self.after = (host, port), after
        self.passed, self.cut, self.stopping = 0, 0, False
        self.listener = socket.create_server((HOST, 0))
        self.listener.settimeout(0.05)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.listener.close()

    def _run(self):
        while not self.stopping:
            try:
                client, _ = self.listener.accept()
            except socket.timeout:
                continue
            with client, socket.create_connection(self.target) as server:
                self._carry(client, server)

    def _carry(self, client, server):
        passed = 0
        with selectors.DefaultSelector() as selector:
            for one, other in ((client, server), (server, client)):
                selector.register(one, selectors.EVENT_READ, other)
            while not self.stopping:
                for key, _ in selector.select(0.05):
                    room = 65536 if self.after is None else self.after - passed
                    try:
                        octets = key.fileobj.recv(min(room, 65536))
                        key.data.sendall(octets)
                    except OSError:
                        octets = b""
                    passed += len(octets)
                    self.passed = max(self.passed, passed)
                    if not octets:
                        return
                    if passed == self.after:
                        self.cut += 1
                        return
