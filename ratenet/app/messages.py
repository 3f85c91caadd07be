"""What a tab is sent: frames as JSON, in which NaN is null."""

import json
import math
from typing import Any

import torch
from torch import Tensor

from ratenet.app.settling import Examined, Frame, Settling

DRAWN = 4  # decimals of what is only seen as a colour or a line


def facts_of(session: Settling) -> dict[str, Any]:
    """Return what a tab has to know before the first frame."""
    height, width = session.shape[-2:]
    classes = session.run.data.classes or session.run.read_out.shape[0]
    return {
        "height": height,
        "width": width,
        "classes": [str(k) for k in range(int(classes))],
        "traced": session.traced,
        "window": 50 * session.network.longest_time_constant(),
    }


def frame_message(frame: Frame, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return a frame for the page: numbers that are read in full, maps to 4 decimals."""
    *_, height, width = shape
    image = frame.image.view(-1, height, width).mean(dim=0).clamp(0, 1)
    target = frame.target
    numbers = ("time", "label", "distance", "predicted", "residual", "answer", "reached", "note")
    return {
        **{name: getattr(frame, name) for name in numbers},
        "image": _drawn(image),
        "drive": _drawn(frame.drive),
        "rates": _drawn(frame.rates),
        "target": None if target is None else _drawn(target),
        "confidence": frame.confidence.tolist(),
    }


def examined_message(examined: Examined) -> dict[str, Any]:
    """Return eigenvalues as pairs, and the certificate."""
    values = torch.view_as_real(examined.eigenvalues.to(torch.complex128))
    return {
        "eigenvalues": [[round(x, DRAWN) for x in pair] for pair in values.tolist()],
        "abscissa": examined.abscissa,
        "converged": examined.converged,
        "at_fixed_point": examined.at_fixed_point,
        "sentence": examined.sentence,
    }


def as_json(message: Any) -> str:
    """Return JSON, NaN and infinity as null, that may stand in a script."""
    return json.dumps(_plain(message), allow_nan=False).replace("<", "\\u003c")


def _drawn(values: Tensor) -> list[float]:
    found: list[float] = values.flatten().double().round(decimals=DRAWN).tolist()
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
