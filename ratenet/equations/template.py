"""A model file to begin with: every key, with a comment, in a model that runs."""

import json
import os
from pathlib import Path

from ratenet.errors import InputError, RunFolderError
from ratenet.files import write_text

_TEMPLATE = '''\
# Check this model with `ratenet models check FILE`, run it with `ratenet simulate FILE --plot`.

name = {name}
title = "Rate network with adaptation"
source = ""                     # where the model was published

# One line for each state variable of a unit, dx/dt = expression : unit ("1": no unit), and one for
# each abbreviation, x = expression : unit. xi is white noise.
equations = """
dr/dt = (-r + f(I)) / tau : 1
da/dt = (-a + r) / tau_a : 1
I = I_rec + I_ext - b*a : 1
"""
output = "r"                    # what the recurrent weights transmit: a state variable, or "f(v)"
recurrent = "I_rec"             # the name that stands for W y
drive = "I_ext"                 # the name that stands for the external input

[functions]                     # of one argument, u
f = "tanh(u)"

# Each is a number, a quantity, a list with one value per unit, a distribution that is drawn from
# for each unit, "normal(10*ms, 1*ms)", "uniform(8*ms, 12*ms)", "lognormal(10*ms, 1*ms)" or
# "gamma(10*ms, 1*ms)", or one of these by population, {{E = "10*ms", I = "5*ms"}}.
[parameters]
tau = "10*ms"
tau_a = "100*ms"
b = 0.5

# [populations]                 # groups of units: their sizes, or fractions that sum to 1
# E = 0.8
# I = 0.2
'''


def write_template(path: Path) -> None:
    """Write a model file to begin with, named after the file; no file is replaced.

    Raises
    ------
    InputError
        If the path does not end in .toml.
    RunFolderError
        If there is a file already, or it cannot be written.
    """
    if path.suffix != ".toml":
        raise InputError.at("file", got=str(path), expected="a path that ends in .toml")
    if os.path.lexists(path):
        raise RunFolderError(f"{str(path)!r} exists already; choose another name.", argument="file")
    name = path.stem.encode(errors="replace").decode()
    write_text(path, _TEMPLATE.format(name=json.dumps(name)))
