"""A proxy that adds delay to a connection and counts its flights.

A flight is one turn of sending and then waiting for the server. What a client sends is one flight
deeper than the deepest of the server's octets that had reached it by then; what the server sends is
as deep as the deepest that had reached the server. The depth of the last answer is the number of
turns that nobody could have saved by a faster line: a client that does not wait sends in one
flight, and a last word that is not answered (close_notify) is none.
"""
import heapq
import itertools
import selectors
import socket
import threading
import time

HOST = "127.0.0.2"


class Link:
    """One connection: the client's socket and the server's, and octets on their way."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.heard = {client: 0, server: 0}  # the depth of what has reached them
        self.other = {client: server, server: client}
        self.pending = {client: bytearray(), server: bytearray()}
        self.ended = set()


class Proxy:
    """`with Proxy(host, port, delay) as proxy:` listens on proxy.port. delay: seconds of a round
    trip. flights: of every connection that was made, in order."""

    def __init__(self, host, port, delay):
        self.target, self.half = (host, port), delay / 2
        self.links, self.queue, self.order = [], [], itertools.count()
        self.listener = socket.create_server((HOST, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.stopping = False

    @property
    def flights(self):
        return [link.heard[link.client] for link in self.links]

    def __enter__(self):
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for link in self.links:
            link.client.close()
            link.server.close()
        self.listener.close()

    def _run(self):
        while not self.stopping:
            wait = 0.05
            if self.queue:
                wait = max(0, min(wait, self.queue[0][0] - time.monotonic()))
            for key, events in self.selector.select(wait):
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._ready(key.data, key.fileobj, events)
            self._deliver()

    def _accept(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(self.target)
        link = Link(client, server)
        self.links.append(link)
        for one in (client, server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(one, selectors.EVENT_READ, link)

    def _ready(self, link, source, events):
        if events & selectors.EVENT_WRITE:
            self._flush(link, source)
        if not events & selectors.EVENT_READ:
            return
        try:
            octets = source.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        depth = link.heard[source] + (source is link.client)
        heapq.heappush(self.queue, (time.monotonic() + self.half, next(self.order), link,
                                    link.other[source], octets, depth))
        if not octets:
            self._watch(link, source, 0)
            link.ended.add(source)

    def _deliver(self):
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            _, _, link, target, octets, depth = heapq.heappop(self.queue)
            if octets:
                link.heard[target] = max(link.heard[target], depth)
                link.pending[target] += octets
                self._flush(link, target)
            else:
                try:
                    target.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

    def _flush(self, link, target):
        pending = link.pending[target]
        try:
            while pending:
                del pending[:target.send(pending[:262144])]
        except BlockingIOError:
            pass
        except OSError:
            pending.clear()
        self._watch(link, target, selectors.EVENT_WRITE if pending else 0)

    def _watch(self, link, one, writing):
        reading = 0 if one in link.ended else selectors.EVENT_READ
        try:
            if reading | writing:
                self.selector.modify(one, reading | writing, link)
            else:
                self.selector.unregister(one)
        except KeyError:
            if reading | writing:
                self.selector.register(one, reading | writing, link)
