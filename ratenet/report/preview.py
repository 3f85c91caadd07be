"""Previews: a stimulus as an animation, its streams side by side, each frame with its time."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ratenet.report.animation import FRAMES, write_animation
from ratenet.stimuli import AbstractStimulus
from ratenet.stimuli.images import hidden, picture

if TYPE_CHECKING:
    from PIL import Image

MARGIN = 6  # screen pixels between streams, and around
CAPTION = 22  # screen pixels
WIDTH = 112  # screen pixels of an image, at least


def preview(stimulus: AbstractStimulus, path: Path, duration: float) -> None:
    """Draw a stimulus as an animation.

    Parameters
    ----------
    stimulus : AbstractStimulus
    path : Path
        Ends in .gif or .mp4.
    duration : float
        How much of its time is shown, from t = 0, in seconds: 90 frames, 5.4 s on the screen.

    Raises
    ------
    InputError
        If the name ends in anything else.
    UnsupportedError
        If a video is asked for and imageio-ffmpeg is not installed.
    RunFolderError
        If the file cannot be written.
    """
    times = np.linspace(0.0, duration, FRAMES, endpoint=False)
    write_animation((draw_frame(stimulus, float(t)) for t in times), path)


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
