"""What a tab is sent: frames as JSON, in which NaN is null."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ratenet.app.frames import Examined, Frame
from ratenet.app.learning import Step
from ratenet.app.plane import Path, Plane, Portrait
from ratenet.app.settling import Settling
from ratenet.fixed_points.continuation.branch import Branch

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
    return {
        "eigenvalues": _pairs(examined.eigenvalues),
        "abscissa": examined.abscissa,
        "converged": examined.converged,
        "at_fixed_point": examined.at_fixed_point,
        "sentence": examined.sentence,
    }


def portrait_message(plane: Plane, portrait: Portrait) -> dict[str, Any]:
    """Return a phase plane."""
    found = portrait.found
    return {
        "span": list(portrait.span),
        "names": plane.unit_names,
        "state": plane.circuit.network.model.states[0],
        "unit": plane.unit,
        "points": found.points.state[0].tolist(),
        "stability": list(found.stability),
        "abscissa": found.abscissa().tolist(),
        "nullclines": [[line.tolist() for line in lines] for lines in portrait.nullclines],
        "basins": portrait.basins.tolist(),
        "summary": found.summary(),
    }


def diagram_message(plane: Plane, along: str, branches: Sequence[Branch]) -> dict[str, Any]:
    """Return a bifurcation diagram, and where on it the controls are."""
    knob = plane.knob(along)
    return {
        "range": [knob.low, knob.high],
        "along": knob.label,
        "value": getattr(plane.controls, along),
        "names": plane.unit_names,
        "unit": plane.unit,
        "branches": [
            {"values": b.values.tolist(), "rates": b.rates.tolist(), "stable": b.stable.tolist()}
            for b in branches
        ],
        "special": [
            {"kind": p.kind.value, "value": p.value, "rates": p.rates.tolist()}
            for b in branches
            for p in b.special
        ],
    }


def path_message(path: Path) -> dict[str, Any]:
    """Return a trajectory."""
    return {"t": path.t.tolist(), "states": path.states.tolist(), "note": path.note}


def learned_message(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return what both sides did in a step."""
    return [dataclasses.asdict(step) for step in steps]


def spectra_message(spectra: Sequence[Tensor | None]) -> list[Any]:
    """Return the eigenvalues of both sides as pairs; None where there are none."""
    return [None if values is None else _pairs(values) for values in spectra]


def as_json(message: Any) -> str:
    """Return JSON, NaN and infinity as null, that may stand in a script."""
    return json.dumps(_plain(message), allow_nan=False).replace("<", "\\u003c")


def _pairs(values: Tensor) -> list[list[float]]:
    pairs = torch.view_as_real(values.to(torch.complex128)).tolist()
    return [[round(x, DRAWN) for x in pair] for pair in pairs]


def _drawn(values: Tensor) -> list[float]:
    found: list[float] = values.flatten().double().round(decimals=DRAWN).tolist()
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
