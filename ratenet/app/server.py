"""The server: NiceGUI on 127.0.0.1, for the browser of this machine alone."""

import os
import socket
import sys
import threading
import webbrowser
from pathlib import Path

import torch
from nicegui import Client, app, ui

from ratenet.app.circuit_page import CircuitPage
from ratenet.app.guard import SameHost
from ratenet.app.learning_page import LearningPage
from ratenet.app.run_page import RunPage
from ratenet.app.skeleton import HEAD
from ratenet.app.targets import CircuitTarget, RunTarget
from ratenet.errors import InputError, RatenetError

HOST = "127.0.0.1"
STATIC = Path(__file__).parent / "static"


def serve(target: RunTarget | CircuitTarget, *, port: int | None, opens_browser: bool) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    target : RunTarget or CircuitTarget
    port : int or None
        None: a free one.
    opens_browser : bool

    Raises
    ------
    InputError
        If the port is in use.
    """
    port = _free_port() if port is None else _checked_port(port)
    if isinstance(target, RunTarget):
        _ = target.images  # so that no tab waits for them
    torch.set_num_threads(1)  # small products, from several tabs
    app.add_middleware(SameHost, port=port)
    app.add_static_files("/ratenet", STATIC)
    ui.page("/", title="ratenet")(lambda client: _page(target, client))
    if isinstance(target, RunTarget):
        ui.page("/learning", title="ratenet")(lambda client: _page(target, client, learns=True))
    address = f"http://{HOST}:{port}"
    app.on_startup(lambda: _started(address, opens_browser))
    ui.run(
        host=HOST, port=port, show=False, reload=False, dark=None, favicon=STATIC / "icon.svg",
        show_welcome_message=False, title="ratenet", tailwind=False,
    )  # fmt: skip


def _page(target: RunTarget | CircuitTarget, client: Client, *, learns: bool = False) -> None:
    """Build what one tab shows, or the sentence that says why it cannot."""
    ui.add_head_html(HEAD)
    ui.colors(primary="#0072b2")
    try:
        if isinstance(target, RunTarget):
            page = LearningPage if learns else RunPage
            page(target, client, client.request.query_params)
        else:
            CircuitPage(target.name, client, client.request.query_params)
    except RatenetError as error:
        ui.label(str(error)).classes("rn-note rn-wrong").props("id=wrong")


def _started(address: str, opens_browser: bool) -> None:
    print(f"page    {address}   (Ctrl+C ends it)", flush=True)
    if opens_browser:  # in a thread: some browsers return when they are closed
        threading.Thread(target=open_browser, args=(address,), daemon=True).start()


def open_browser(address: str) -> None:
    """Open the address in the browser, or say that it cannot be done."""
    if not (_has_display() and webbrowser.open(address)):
        print("No browser could be opened; open the address in one yourself.", file=sys.stderr)


def _has_display() -> bool:
    """Return whether a browser has a screen to open on; without one it would be a terminal's."""
    named = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, named))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _checked_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:  # in use, or below 1024
            raise InputError.at(
                "port",
                found=f"{port} ({(error.strerror or str(error)).lower()})",
                expected="a free port",
                remedy="leave --port out for any",
            ) from None
    return port
