"""Brian2 is imported in any thread and leaves the process as it was, unless a user imports it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # each imports Brian2 in a fresh process

STATE = """
import logging, signal, sys, warnings
def state():
    handlers = logging.getLogger("py.warnings").handlers
    return signal.getsignal(signal.SIGINT), sys.excepthook, warnings.showwarning, list(handlers)
"""


def output(code: str) -> str:
    """Return what a fresh process prints that runs the code."""
    command = [sys.executable, "-c", STATE + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("room", ["equations", "circuits", "report", "cli"])
def test_the_process_is_as_before(room: str) -> None:
    code = f"""
before, setter = state(), signal.signal
import ratenet.{room}
import ratenet.equations.spec
print("brian2" in sys.modules, state() == before, signal.signal is setter)
"""
    assert output(code) == "True True True"


def test_what_a_user_has_set_stays() -> None:
    code = """
def handler(*_): pass
signal.signal(signal.SIGINT, handler)
logging.captureWarnings(True)
sys.excepthook = handler
before = state()
import ratenet.equations
print(state() == before)
"""
    assert output(code) == "True"


def test_who_imports_brian2_first_keeps_what_it_sets() -> None:
    code = """
import brian2
theirs = state()
import ratenet.equations
print(state() == theirs, theirs[1].__name__, type(theirs[0]).__name__)
"""
    assert output(code) == "True brian_excepthook _InterruptHandler"


def test_ratenet_is_first_used_in_a_thread() -> None:
    code = """
import math, threading
import ratenet as rn
found = []
def use():
    network = rn.Network("rate", [[0.5]])
    found.append(float(rn.find_fixed_points(network, [math.atanh(0.8) - 0.4]).rates))
thread = threading.Thread(target=use)
thread.start()
thread.join()
print(abs(found[0] - 0.8) < 1e-8, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    assert output(code) == "True True"


def test_another_thread_sets_a_handler_meanwhile() -> None:
    code = """
import threading
from ratenet.equations import units
def handler(*_): pass
modules = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "brian2"}
ours = threading.Event(), threading.Event()
def imports():
    with units._process_untouched():
        ours[0].set()
        ours[1].wait()
thread = threading.Thread(target=imports)
thread.start()
ours[0].wait()
signal.signal(signal.SIGTERM, handler)
ours[1].set()
thread.join()
print(signal.getsignal(signal.SIGTERM) is handler)
"""
    assert output(code) == "True"
