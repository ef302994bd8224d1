"""The stand-in in a process of its own, and what a test tells and asks it over HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from webapp.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 30


@dataclass(frozen=True, slots=True)
class RemoteRekognition:
    """A running one."""

    url: str

    def tell(self, method: str, **arguments: Any) -> None:
        """Call a method of Faults, or `delete_collection` (name) or `forget`, with keyword arguments."""
        answer = requests.post(f"{self.url}/_control/{method}", json=arguments, timeout=SECONDS)
        if not answer.ok:
            raise ValueError(answer.text)

    def state(self) -> dict[str, Any]:
        """Its contents, calls, counts, most_at_once and faults_of_its_own."""
        answer = requests.get(f"{self.url}/_control/state", timeout=SECONDS)
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state


@contextmanager
def rekognition_process(
    *, models: Path | None = None, keys: Mapping[str, str] | None = None
) -> Iterator[RemoteRekognition]:
    """A server in a process of its own for the length of a block. models: a folder with folded models, or for them."""
    command = [sys.executable, "-m", "tests.cloud.rekognition", "--port", "0"]
    command += ["--models", str(models)] if models else []
    for key, secret in (keys or {}).items():
        command += ["--key", f"{key}:{secret}"]
    parent = os.getpid()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - nothing is imported or locked
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the server ended with {process.wait(SECONDS)} before it said its address")
        yield RemoteRekognition(url)
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
