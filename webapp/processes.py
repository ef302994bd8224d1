"""What the processes of an installation do alike: start quickly, and end with the one that started them.

Standard library only.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

ALONE = "alone"
"""Key in the meta data of a job that the worker gives a process of its own."""

WAS_READY = "FINDME_WORKER_WAS_READY"
"""Set in the environment of a worker's job process that replaces an earlier one."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of workers: matching scales by processes, and threads of native libraries would get in their way."""

_FIRST, _OTHERS = "selfies mail maintenance photos", "selfies photos mail maintenance"


def worker_arguments(number: int) -> list[str]:
    """Return the arguments of `rq` for the worker with this number, from 1.

    The first keeps mail and upkeep going while thousands of photos wait; all serve selfies first.
    """
    queues = _FIRST if number == 1 else _OTHERS
    return ["worker", "-w", "jobs.worker.Worker", "-c", "jobs.rq_settings", *queues.split()]


_PR_SET_PDEATHSIG = 1
# Loaded here, in the parent: between fork and exec nothing may be imported safely.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@contextmanager
def loading() -> Iterator[None]:
    """Let the garbage collector rest while a process loads what it keeps for life, and leave that alone later.

    An app is a quarter of a million objects: to look through them again and again takes an eighth of a start's time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def die_with_parent(parent: int, with_signal: int = signal.SIGKILL) -> None:
    """Be signalled when the process `parent`, which started this one, ends in whatever way.

    On Linux the kernel does it, even after SIGKILL; the setting lasts over exec, not over fork. Elsewhere see
    `watch_parent`. The parent may have gone before we asked, hence the look at the end.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), with_signal)


def watch_parent(parent: int, with_signal: int = signal.SIGKILL) -> None:
    """The same for systems whose kernel does not tell: a thread that looks once a second."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), with_signal)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def follow_parent(parent: int, with_signal: int = signal.SIGKILL) -> None:
    """Whichever of the two this system offers."""
    if _LIBC is not None:
        die_with_parent(parent, with_signal)
    else:
        watch_parent(parent, with_signal)
