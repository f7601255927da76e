"""What a worker has, and whether it can take part."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np

from convlet._version import __version__
from convlet.errors import InputError, one_line
from convlet.native import TARGET

AGAIN = 6
"""Times as long as it was waited for, until a worker that does not answer is asked again."""


class UnfitError(Exception):
    """A worker cannot take part: why, and what to do."""

    def __init__(self, but: str, hint: str = "") -> None:
        super().__init__(but)
        self.but, self.hint = but, hint


def result(address: str, task: "asyncio.Task[dict[str, Any]]") -> dict[str, Any] | None:
    """Of a probe; None where the worker was lost meanwhile.  Raises `InputError`."""
    try:
        return task.result()
    except OSError:
        return None
    except UnfitError as error:
        found = f"has the worker {address}"
        raise InputError("cluster", None, found=found, but=error.but, hint=error.hint) from None


def prober() -> Callable[[Any], dict[str, Any]]:
    """A function that says what a worker has, which travels whole: convlet may be missing there."""

    def about(dask_worker: Any) -> dict[str, Any]:
        try:
            import numpy
            from distributed.system import MEMORY_LIMIT

            from convlet._version import __version__ as version
            from convlet.native import TARGET as target
        except ImportError as error:
            return {"missing": str(error)}
        return {
            "convlet": version,
            "numpy": numpy.__version__,
            "target": target.name,
            "threads": dask_worker.state.nthreads,
            "memory": dask_worker.memory_manager.memory_limit or MEMORY_LIMIT,  # bytes
        }

    return about


async def probe(client: Any, address: str) -> dict[str, Any]:
    """What a worker has.  Raises `UnfitError`, `OSError` where it is lost."""
    answers = await client.run(prober(), workers=[address], on_error="return")
    about = answers[address]
    if isinstance(about, OSError):
        raise about
    if isinstance(about, Exception):  # as of another Python, which does not read our question
        raise UnfitError(f"it cannot say what it has ({one_line(about)})", "compare versions")
    install = f"pip install convlet=={__version__} there"
    if "missing" in about:
        raise UnfitError(f"it has no convlet ({about['missing']})", install)
    if about["convlet"] != __version__:
        raise UnfitError(f"it has convlet {about['convlet']}, this is {__version__}", install)
    if about["target"] is None:
        raise UnfitError("the native engine does not run on its CPU")
    found: dict[str, Any] = about
    return found


def check_workers(client: Any, silence: float) -> list[str]:
    """The addresses of the workers that answer and can take part.

    Raises `InputError` for a cluster without any, or with one that cannot.
    """
    answering = []
    try:
        client.wait_for_workers(1, timeout=silence)
    except TimeoutError:
        raise no_workers(silence) from None
    for address in client.nthreads():
        try:
            client.sync(probe, client, address, callback_timeout=silence)
            answering.append(address)
        except UnfitError as error:
            found = f"has the worker {address}"
            raise InputError("cluster", None, found=found, but=error.but, hint=error.hint) from None
        except (OSError, TimeoutError):
            continue  # it is left behind when training begins
    if not answering:
        raise no_workers(silence)
    return answering


class Fit:
    """Whether a worker can take part; each is asked once, and again where it does not answer.

    told: why one cannot.
    """

    def __init__(self, client: Any, silence: float, told: Callable[[str], None]) -> None:
        self.client, self.silence, self.told = client, silence, told
        self.fit: dict[str, bool] = {}
        self.later: dict[str, float] = {}  # when who did not answer is asked again

    def __call__(self, address: str) -> bool:
        if address not in self.fit and monotonic() >= self.later.get(address, 0.0):
            self._ask(address)
        return self.fit.get(address, False)

    def _ask(self, address: str) -> None:
        try:
            self.client.sync(probe, self.client, address, callback_timeout=self.silence)
            self.fit[address] = True
        except UnfitError as error:
            self.fit[address] = False
            self.told(f"the worker {address} takes no part: {error.but}")
        except (OSError, TimeoutError):
            if address not in self.later:
                self.told(f"the worker {address} takes no part for now: it does not answer")
            self.later[address] = monotonic() + AGAIN * self.silence


def no_workers(silence: float) -> InputError:
    but = f"it has no workers, for {silence:g} seconds"
    hint = "start some, as by: dask worker ADDRESS"
    return InputError("cluster", None, found="is there", but=but, hint=hint)


def differences(address: str, about: dict[str, Any]) -> list[str]:
    """Sentences of where a worker's numbers come of another library or processor than here."""
    names = {"numpy": ("NumPy", np.__version__), "target": ("the instruction set", TARGET.name)}
    return [
        f"the worker {address} has {words} {about[name]}, this is {own}: the bits are the same"
        for name, (words, own) in names.items()
        if about[name] != own
    ]
