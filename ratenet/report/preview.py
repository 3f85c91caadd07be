"""Previews: a stimulus as an animated GIF, its streams side by side, each frame with its time."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ratenet.errors import InputError, RunFolderError
from ratenet.files import write_whole
from ratenet.stimuli import AbstractStimulus
from ratenet.stimuli.images import hidden, picture

if TYPE_CHECKING:
    from PIL import Image

FRAMES = 90
FRAME_TIME = 60  # ms for which each is shown
MARGIN = 6  # screen pixels between streams, and around
CAPTION = 22  # screen pixels
WIDTH = 112  # screen pixels of an image, at least


def preview(stimulus: AbstractStimulus, path: Path, duration: float) -> None:
    """Draw a stimulus as an animated GIF that repeats.

    Parameters
    ----------
    stimulus : AbstractStimulus
    path : Path
        Ends in .gif.
    duration : float
        How much of its time is shown, from t = 0, in seconds: 90 frames, 5.4 s on the screen.

    Raises
    ------
    InputError
        If the name does not end in .gif.
    RunFolderError
        If the file cannot be written.
    """
    _check_name(path)
    times = np.linspace(0.0, duration, FRAMES, endpoint=False)
    first, *others = (draw_frame(stimulus, float(t)) for t in times)
    write_whole(
        path,
        lambda beside: first.save(
            beside, "GIF", save_all=True, append_images=others, duration=FRAME_TIME, loop=0
        ),
    )


def check_place(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where no preview can be written, before anything is drawn.

    Raises
    ------
    InputError
        If the name does not end in .gif.
    RunFolderError
        If there is a file already, unless it may be replaced, or no folder that can be written to.
    """
    _check_name(path)
    if os.path.lexists(path) and not (overwrite and path.is_file()):
        remedy = "" if path.is_dir() else ", or replace it with --overwrite"
        raise RunFolderError(
            f"preview: {str(path)!r} exists already; choose another name{remedy}.",
            argument="preview",
            got=path,
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RunFolderError(
            f"preview: {str(path)!r} cannot be written, since there is no folder "
            f"{str(path.parent)!r} that can be written to.",
            argument="preview",
            got=path,
        )


def _check_name(path: Path) -> None:
    if path.suffix.lower() != ".gif":
        raise InputError.at("preview", got=path.name, expected="a name that ends in .gif")


def draw_frame(stimulus: AbstractStimulus, t: float) -> "Image.Image":
    """Return the streams at a time: bright pixels on black, the class and the time in ms below."""
    from PIL import Image, ImageDraw, ImageFont  # here: a command that draws nothing needs none

    images = [picture(image, stimulus.shape) for image in stimulus.at(t)]
    height, width = images[0].shape[:2]
    zoom = -(-WIDTH // width)
    labels = stimulus.labels_at(t).reshape(len(images), -1)
    step = zoom * width + MARGIN
    size = (MARGIN + step * len(images), 2 * MARGIN + zoom * height + 2 * CAPTION)
    frame = Image.new("L" if images[0].ndim == 2 else "RGB", size, color="#464646")
    draw, font = ImageDraw.Draw(frame), ImageFont.load_default(size=14)
    for b, (image, shown_labels) in enumerate(zip(images, labels, strict=True)):
        shown = Image.fromarray((255 * image).round().astype(np.uint8))
        corner = (MARGIN + b * step, MARGIN)
        frame.paste(shown.resize((zoom * width, zoom * height), Image.Resampling.NEAREST), corner)
        known = shown_labels[~hidden(shown_labels)].tolist()
        text = ", ".join(f"{n:.3g}" if isinstance(n, float) else str(n) for n in known) or "-"
        below = (corner[0] + zoom * width / 2, MARGIN + zoom * height + CAPTION / 2)
        draw.text(below, text, fill="white", font=font, anchor="mm")
    draw.text((MARGIN, size[1] - MARGIN), f"{1e3 * t:.0f} ms", fill="white", font=font, anchor="ls")
    return frame
