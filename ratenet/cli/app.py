"""``ratenet app``: a page in the browser: a digit settles, or a circuit is moved."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ratenet.cli.options import whole


def app(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN | CIRCUIT]",
            help="A run folder, or the name of a circuit of two units. Default: runs/demo, which "
            "is trained in static presentation if it is not there.",
        ),
    ] = None,
    port: Annotated[int | None, whole("Port of 127.0.0.1; default a free one.", most=65535)] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
) -> None:
    """Open a page in the browser: draw a digit and watch the rates settle, or move a circuit.

    Only this machine can reach the page. It requires NiceGUI: `pip install 'ratenet[app]'`.

    Example: `ratenet app runs/demo`

    Example: `ratenet app wilson_cowan_multistable`
    """
    _require_nicegui()

    from ratenet.app.server import serve
    from ratenet.app.targets import RunTarget, target_of
    from ratenet.files import CONFIG

    shown: Any = target_of(target)
    if isinstance(shown, RunTarget):
        if target is None and not (shown.folder / CONFIG).exists():
            _train_demo(shown.folder)
        shown.load()  # a mistake is told here, not in the browser
    serve(shown, port=port, opens_browser=not no_browser)


def _require_nicegui() -> None:
    from importlib.util import find_spec

    from ratenet.errors import UnsupportedError

    if find_spec("nicegui") is None:
        raise UnsupportedError(
            "app: NiceGUI is not installed; install it with pip install 'ratenet[app]'.",
            argument="app",
        )


def _train_demo(folder: Path) -> None:
    """Train on the embedded digits in static presentation, with a progress bar."""
    from ratenet.training import TrainingConfig, train

    print(f"{folder} does not exist yet; training the demo (less than a minute).")
    train(TrainingConfig(presentation="static"), out=folder, show_progress=True)
