"""Plasticity hypotheses: rules side by side; which rule made a change; how much data would tell.

The names stand in ``__init__.pyi``; each is imported when it is first used, so that the command
line can read the options of a comparison without waiting for torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
