"""Only the page's own address may talk to it."""

import asyncio

import pytest

from ratenet.app.guard import SameHost


def answer(kind, headers):
    """Return what is sent to a request with some headers."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "passed"})

    async def send(message):
        sent.append(message)

    asyncio.run(SameHost(app, 8123)({"type": kind, "headers": headers}, None, send))
    return sent[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", [b"127.0.0.1:8123", b"localhost:8123", b"LOCALHOST:8123"])
@pytest.mark.parametrize("origin", [None, b"http://127.0.0.1:8123", b"http://localhost:8123"])
def test_own_address_is_let_through(kind, host, origin):
    headers = [(b"host", host)] + ([(b"origin", origin)] if origin else [])
    assert answer(kind, headers) == {"type": "passed"}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"evil.example:8123")],
        [(b"host", b"127.0.0.1:8124")],
        [(b"host", b"127.0.0.1:8123"), (b"host", b"evil.example")],
        [(b"host", b"127.0.0.1:8123"), (b"origin", b"http://evil.example")],
        [(b"host", b"127.0.0.1:8123"), (b"origin", b"null")],
        [(b"host", b"127.0.0.1:8123"), (b"Origin", b"https://127.0.0.1:8123")],
        [(b"host", b"127.0.0.1:8123.evil.example")],
    ],
)
def test_others_are_refused(headers):
    assert answer("http", headers)["status"] == 403
    assert answer("websocket", headers)["type"] == "websocket.close"


def test_the_server_s_own_start_is_let_through():
    assert answer("lifespan", []) == {"type": "passed"}
