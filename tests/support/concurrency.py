"""Calls that run at the same time, in threads of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from flask import Flask

T = TypeVar("T")


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Run calls in threads that start together; their answers in order."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def meanwhile(call: Callable[[], T]) -> T:
    """Let somebody else do something, apart from the context that the test itself is in."""
    return at_once(call)[0]


def inside(app: Flask, call: Callable[[], T]) -> Callable[[], T]:
    """A call of a service, as a worker makes it."""

    def run() -> T:
        with app.app_context():
            return call()

    return run
