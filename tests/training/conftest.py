"""Settings of the tests of training."""

import pytest

from ratenet.training import network_run, stack_run


@pytest.fixture
def pictures():
    """Let a test's runs draw their pictures."""


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """Leave out the pictures of a run, which take most of a small one's time."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(network_run, "draw_network_run", lambda *_: None)
        monkeypatch.setattr(stack_run, "draw_learning_curve", lambda *_: None)
