"""Animations: frames as a GIF that repeats, or as an MP4 video."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ratenet.errors import InputError, RunFolderError, UnsupportedError
from ratenet.files import write_whole

if TYPE_CHECKING:
    from PIL import Image

FRAMES = 90
FRAME_TIME = 60  # ms for which each is shown
SUFFIXES = (".gif", ".mp4")
PALETTE = 64  # colours of a GIF: few, so that it is small
SAMPLED = 8  # frames, or a few more, that the colours are chosen from


def write_animation(frames: Iterable["Image.Image"], path: Path) -> None:
    """Write frames of one size, each shown for 60 ms.

    Parameters
    ----------
    frames : iterable of PIL.Image.Image
        At least one.
    path : Path
        Ends in .gif or .mp4.

    Raises
    ------
    InputError
        If the name ends in anything else.
    UnsupportedError
        If a video is asked for and imageio-ffmpeg is not installed.
    RunFolderError
        If the file cannot be written.
    """
    check_name(path, "animation")
    write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
    write_whole(path, lambda beside: write(frames, beside))


def check_place(path: Path, argument: str, *, overwrite: bool) -> None:
    """Refuse a place where no animation can be written, before anything is computed.

    Raises
    ------
    InputError
        If the name ends neither in .gif nor in .mp4.
    UnsupportedError
        If a video is asked for and imageio-ffmpeg is not installed.
    RunFolderError
        If there is a file already, unless it may be replaced, or no folder that can be written to.
    """
    check_name(path, argument)
    if os.path.lexists(path) and not (overwrite and path.is_file()):
        remedy = "" if path.is_dir() else ", or replace it with --overwrite"
        raise RunFolderError(
            f"{argument}: {str(path)!r} exists already; choose another name{remedy}.",
            argument=argument,
            got=path,
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RunFolderError(
            f"{argument}: {str(path)!r} cannot be written, since there is no folder "
            f"{str(path.parent)!r} that can be written to.",
            argument=argument,
            got=path,
        )


def check_name(path: Path, argument: str) -> None:
    """Refuse a name whose ending says neither GIF nor MP4, and an MP4 that cannot be made."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        expected = "a name that ends in .gif or .mp4"
        raise InputError.at(argument, got=path.name, expected=expected)
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ModuleNotFoundError:
            raise UnsupportedError(
                f"{argument}: an .mp4 needs imageio-ffmpeg: pip install 'ratenet[video]'; a .gif "
                "does not.",
                argument=argument,
            ) from None


def _write_gif(frames: Iterable["Image.Image"], path: Path) -> None:
    """Write a GIF with one palette for all frames, without dithering: it would flicker."""
    from PIL import Image

    drawn = [frame.convert("RGB") for frame in frames]
    some = [np.asarray(frame) for frame in drawn[:: max(1, len(drawn) // SAMPLED)]]
    palette = Image.fromarray(np.concatenate(some)).quantize(PALETTE)
    first, *others = (each.quantize(palette=palette, dither=Image.Dither.NONE) for each in drawn)
    first.save(path, "GIF", save_all=True, append_images=others, duration=FRAME_TIME, loop=0)


def _write_mp4(frames: Iterable["Image.Image"], path: Path) -> None:
    """Write a video that every browser plays: H.264 with even sides."""
    from imageio_ffmpeg import get_ffmpeg_exe

    drawn = [frame.convert("RGB") for frame in frames]
    width, height = (side + side % 2 for side in drawn[0].size)
    raw = b"".join(frame.crop((0, 0, width, height)).tobytes() for frame in drawn)
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    target = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    rate = ["-r", f"{1000 / FRAME_TIME:.6g}"]
    command = [get_ffmpeg_exe(), "-y", "-v", "error", *source, *rate, "-i", "-", *target, str(path)]
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
