"""HTTP connections whose time-outs are totals: urllib3's start again with each address and each byte.

https://urllib3.readthedocs.io/en/stable/reference/urllib3.util.html#urllib3.util.Timeout
"""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family, create_connection

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def pool() -> PoolManager:
    """Return a pool of such connections.

    A connect time-out is for all addresses of a host, with the TLS handshake. Each address gets an equal share of what
    is left, so a dead one leaves time for the next. The system's resolver, which looks the addresses up, has its own
    time-out. A read time-out is for the whole answer. A request fits the socket's buffer.
    """
    manager = PoolManager(retries=False)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager


class _Source(io.RawIOBase):
    """What a socket receives within its time-out, which all reads share."""

    def __init__(self, received: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._received, self._sock = received, sock
        self._until = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._received.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._received.close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp = io.BufferedReader(_Source(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        until = time.monotonic() + float(self.timeout or 0)
        try:
            found = socket.getaddrinfo(self.host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from None
        failed: OSError = TimeoutError()
        for tried, (*_, address) in enumerate(found):
            share = (until - time.monotonic()) / (len(found) - tried)
            if share <= 0:
                break
            try:
                sock = create_connection((str(address[0]), self.port), share, socket_options=self.socket_options)
            except OSError as error:
                failed = error
            else:
                sock.settimeout(max(until - time.monotonic(), 0.001))
                return sock
        raise (ConnectTimeoutError if isinstance(failed, TimeoutError) else NewConnectionError)(self, "No connection")


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
