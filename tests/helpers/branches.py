"""One tanh unit that excites itself, and its fixed points along the drive."""

from typing import Any

import ratenet as rn

TAU = 0.01


def unit(w: float) -> rn.Network:
    return rn.Network("rate", [[w]], parameters={"tau": TAU})


def along_drive(w: float, **options: Any) -> rn.Branch:
    settings = {"start": -1.5, "stop": 1.5, **options}
    return rn.continue_fixed_points(unit(w), [1.0], rn.DriveScale(), **settings)
