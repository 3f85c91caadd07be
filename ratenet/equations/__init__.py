"""Equations: the language of model files, from text to a checked ModelSpec and to torch.

The names stand in ``__init__.pyi``; each is imported when it is first used, so that the command
line can list the models without waiting for Brian2.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
