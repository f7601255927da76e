"""The end of a process: nothing is said, nothing of the core is left, whatever still runs."""

import children

USE = """
import threading
import numpy as np
from convlet import Adam, Augmentation, Network, _native
net = Network("conv 2 3, relu, pool 2, flatten, dropout 0.5, dense 3, softmax", (8, 8, 1))
x, y = np.zeros((20, 8, 8, 1), np.uint8), np.arange(20, dtype=np.int32) % 3
net.fit(x, y, epochs=1, optimizer=Adam(), augmentation=Augmentation(shift=1))
net.predict(x)
net.gradients(x, y)
"""
DAEMONS = """
begun = threading.Barrier(3)
def use():
    begun.wait()
    while True:
        net.fit(x, y, epochs=1)
for _ in range(2):
    threading.Thread(target=use, daemon=True).start()
begun.wait()
"""
WARN = "_native.testing.warn_of_leaks()\n"


def errors(code: str) -> str:
    """What a process that ends with status 0 says on its way."""
    done = children.python(code)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr


def test_the_bindings_leak_nothing():
    leak = "import ctypes\nctypes.pythonapi.Py_IncRef(ctypes.py_object(net.engine.core))\n"
    assert errors(USE + WARN) == ""
    assert "leaked" in errors(USE + WARN + leak)


def test_beside_daemon_threads_nothing_is_said():
    """They wait for the interpreter's lock again and again, also when it is gone."""
    for _ in range(5):
        assert errors(USE + DAEMONS) == ""


SLOW_END = """
class Last:
    def __del__(self, net=net, x=x, sleep=__import__("time").sleep):
        sleep({seconds})
        net.engine.predict(net.flat, x, 2)
last = Last()
"""


def test_a_thread_inside_a_long_call_stays_there():
    """Every 50 ms it asks for signals, and for the lock, of an interpreter that ends."""
    code = """
times = np.zeros(1_000_000, np.int32)
threading.Thread(target=_native.testing.team, args=(2, [times] * 1000), daemon=True).start()
while not times.any():
    pass
"""
    assert errors(USE + SLOW_END.format(seconds=0.3) + code) == ""


def test_the_core_computes_while_the_interpreter_ends():
    """The thread that ends it may still call, from a `__del__`."""
    assert errors(USE + SLOW_END.format(seconds=0)) == ""
