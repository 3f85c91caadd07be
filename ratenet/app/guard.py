"""Who may talk to the page: this machine's browser, at the page's own address, and no other site.

A name that another site lets point to 127.0.0.1 (DNS rebinding) comes with a foreign Host; a page
of another site that opens a connection comes with a foreign Origin. Both are refused, also on
websockets.
"""

from collections.abc import Awaitable, Callable
from typing import Any

REFUSED = b"This page answers only to its own address on this machine."
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class SameHost:
    """ASGI middleware that lets through what comes from the page's own address.

    Parameters
    ----------
    app : ASGI application
    port : int
    """

    def __init__(self, app: Asgi, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on a request, or refuse it."""
        if scope["type"] in ("http", "websocket") and not self._is_own(scope["headers"]):
            await _refuse(scope["type"], send)
        else:
            await self._app(scope, receive, send)

    def _is_own(self, headers: list[tuple[bytes, bytes]]) -> bool:
        hosts = [value.lower() for name, value in headers if name.lower() == b"host"]
        origins = {value.lower() for name, value in headers if name.lower() == b"origin"}
        return len(hosts) == 1 and hosts[0] in self._hosts and origins <= self._origins


async def _refuse(kind: str, send: Any) -> None:
    if kind == "websocket":  # before it is accepted: the browser sees 403
        await send({"type": "websocket.close", "code": 1008, "reason": REFUSED.decode()})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSED})
