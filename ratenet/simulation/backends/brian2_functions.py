"""Functions of the model language that Brian2 lacks, for its three code generation targets.

Each is stable for arguments of any size (no exponential of a positive number), and NaN stays NaN,
so that a diverged state is seen. relu keeps the unit of its argument; the others have none.
"""

from functools import cache
from typing import Any

import numpy as np

_CODE = {
    "relu": "return u < 0 ? 0 : u;",
    "sigmoid": "return u < 0 ? exp(u) / (1 + exp(u)) : 1 / (1 + exp(-u));",
    "softplus": "return (u < 0 ? 0 : u) + log1p(exp(-fabs(u)));",
    "erf": "return erf(u);",
}


def _relu(u: Any) -> Any:
    return np.maximum(u, 0.0)


def _softplus(u: Any) -> Any:
    return np.maximum(u, 0.0) + np.log1p(np.exp(-np.abs(u)))


@cache
def functions() -> dict[str, Any]:
    """Return relu, sigmoid, softplus and erf as Brian2 Functions, by name."""
    from brian2.core.functions import Function  # here: Brian2's runtime takes a second to import
    from scipy.special import erf, expit

    python = {"relu": _relu, "sigmoid": expit, "softplus": _softplus, "erf": erf}
    made = {}
    for name, function in python.items():
        keeps_unit = name == "relu"
        made[name] = Function(
            function,
            arg_units=[None if keeps_unit else 1],
            return_unit=(lambda unit: unit) if keeps_unit else 1,
        )
        implementations = made[name].implementations
        implementations.add_implementation("numpy", code=function)
        implementations.add_implementation("cpp", code=_cpp(name), name=f"_ratenet_{name}")
        implementations.add_implementation("cython", code=_cython(name), name=f"_ratenet_{name}")
    return made


def _cpp(name: str) -> str:
    return f"static inline double _ratenet_{name}(double u) {{ {_CODE[name]} }}"


def _cython(name: str) -> str:
    """Return the C function, which Cython takes in as it is: one formula for both compilers."""
    return f"""
cdef extern from *:
    '''
    #include <math.h>
    static inline double _ratenet_c_{name}(double u) {{ {_CODE[name]} }}
    '''
    double _ratenet_c_{name}(double u) nogil

cdef double _ratenet_{name}(double u):
    return _ratenet_c_{name}(u)
"""
