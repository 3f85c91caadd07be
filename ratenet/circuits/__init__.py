"""Circuits from the literature: a model with weights, its stimulus and a start, ready to simulate.

Each constructor takes what a user varies, as Brian2 quantities or SI floats, and returns a
`Circuit`. `load` returns one by name.

The names stand in ``__init__.pyi``; each is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
