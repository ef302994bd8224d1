"""A web worker is killed with work in it, as the kernel does when memory runs out: what is lost, and what is told.

30 guests who are registered already hand their selfies in at the same moment. When a third of them have their answer,
one web worker gets SIGKILL (and of the product an RQ worker, too). Lost is what was answered with 200 and never comes
to an end; a request that broke off is no loss, since the guest knows of it and tries again.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from tests.load.systems import System
from tests.support.product import PASSWORD, Client
from webapp.services.accounts.accounts import LOAD_TEST

GUESTS = 30
GIVE_UP = 100.0
"""Seconds after which a selfie is lost: longer than every lease, pause and sweep of the product."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What became of the uploads."""

    sent: int
    answered: int
    broken_off: int
    lost: int
    slowest: float
    """Seconds from the kill to the last result that came."""


def kill(system: System, code: str, selfies: Path) -> Loss:
    """Register everybody, let all hand in, kill, and wait for what comes."""
    pictures = [path.read_bytes() for path in sorted(selfies.iterdir())]
    with ThreadPoolExecutor(8) as pool:
        guests = list(pool.map(lambda n: _register(system, code, f"kill-{system.name}-{n}"), range(GUESTS)))
    answered: list[Client] = []
    broken, killed = 0, False
    with ThreadPoolExecutor(GUESTS) as pool:
        uploads = {
            pool.submit(guest.upload_selfie, pictures[n % len(pictures)]): guest for n, guest in enumerate(guests)
        }
        for upload in as_completed(uploads):
            if upload.exception() is None:
                answered.append(uploads[upload])
            else:
                broken += 1
            if len(answered) >= GUESTS // 3 and not killed:
                killed = True
                _kill_workers(system)
    lost, slowest = _wait(answered, time.monotonic())
    return Loss(GUESTS, len(answered), broken, lost, slowest)


def _register(system: System, code: str, name: str) -> Client:
    user = {"username": name, "email": f"{name}@{LOAD_TEST}", "password": PASSWORD}
    body = {"user_data": user, "event_code": code, "consent": True}
    return Client(system.url, Client(system.url, "").post("/register-with-event-code", json=body)["access_token"])


def _kill_workers(system: System) -> None:
    os.kill(min(system.web_pids()), signal.SIGKILL)
    if system.product is not None:
        system.product.kill_worker(_busiest(system.product.workers()))


def _busiest(workers: list[psutil.Process]) -> psutil.Process:
    """The one that has used the processor most: that was working a moment ago."""
    return max(workers, key=lambda worker: sum(sum(child.cpu_times()[:2]) for child in worker.children(recursive=True)))


def _wait(guests: list[Client], killed_at: float) -> tuple[int, float]:
    """How many of the searches never end, and after how many seconds the last of the others did."""
    waiting, slowest = list(guests), 0.0
    while waiting and time.monotonic() < killed_at + GIVE_UP:
        left = [guest for guest in waiting if not _is_over(guest)]
        if len(left) < len(waiting):
            slowest = time.monotonic() - killed_at
        waiting = left
        time.sleep(0.25)
    return len(waiting), slowest


def _is_over(guest: Client) -> bool:
    try:
        return guest.get("/rematch-status")["status"] == "done"
    except requests.RequestException:
        return False  # its worker is just starting again
