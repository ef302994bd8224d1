"""What both kinds of guests share: who they are, which selfie they hand in, and the settings of a run.

EVENT_CODE   the code of the event that they join (default: the demo event's)
SELFIES      a folder of pictures; each new guest takes the next one (default: the demo's two selfies)
LOAD_WAITING 1: thousands of photos wait, so a search counts as over with its first photo
"""

import os
import secrets
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from locust.contrib.fasthttp import FastHttpUser
from locust.exception import StopUser

from tests.load.journal import Search
from webapp.demo.compositions import selfie
from webapp.demo.demo_event import CODE
from webapp.services.accounts.accounts import LOAD_TEST

PASSWORD = "correct horse battery"

_run = secrets.token_hex(3)
_numbers = count()


@cache
def event_code() -> str:
    return os.environ.get("EVENT_CODE") or CODE


@cache
def selfies() -> list[bytes]:
    """The pictures that guests hand in, in the order of their names.

    Raises:
        ValueError: the folder has none.
    """
    folder = os.environ.get("SELFIES")
    if not folder:
        return [selfie("grace"), selfie("eileen")]
    pictures = [
        path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.suffix in (".jpg", ".jpeg", ".png")
    ]
    if not pictures:
        raise ValueError(f"SELFIES={folder} holds no .jpg or .png")
    return pictures


class Guest(FastHttpUser):
    """Somebody new with a name, an address that `flask findme purge-load` knows, and a selfie."""

    abstract = True
    network_timeout = 120.0
    connection_timeout = 30.0
    search: Search | None = None

    def on_start(self) -> None:
        number = next(_numbers)
        self.name = f"load-{_run}-{number}"
        self.email = f"{self.name}@{LOAD_TEST}"
        self.selfie = selfies()[number % len(selfies())]
        self.join()

    def on_stop(self) -> None:
        if self.search is not None:
            self.search.fails("the run ended before the search did")

    def join(self) -> None:
        """All that this kind of guest does before they look at their photos again and again."""
        raise NotImplementedError

    def begin_search(self) -> Search:
        self.search = Search(photos_are_enough=os.environ.get("LOAD_WAITING") == "1")
        return self.search

    def ask(self, method: str, path: str, name: str, *, expect: tuple[int, ...] = (200,), **options: Any) -> Any:
        """One request; whoever gets another answer than those expected gives up, as a failure of the run.

        Raises:
            StopUser: after a failure.
        """
        with self.client.request(
            method, path, name=name, catch_response=True, allow_redirects=False, **options
        ) as answer:
            if answer.status_code not in expect:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")
                raise StopUser
            return answer

    def multipart(self, fields: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        """A form with this guest's selfie in the field `file`: its body and the headers that go with it."""
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="me.jpg"\r\n'
        parts += [head.encode(), b"Content-Type: image/jpeg\r\n\r\n", self.selfie, f"\r\n--{boundary}--\r\n".encode()]
        return b"".join(parts), {"Content-Type": f"multipart/form-data; boundary={boundary}"}
