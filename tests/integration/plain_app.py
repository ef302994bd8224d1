"""What gunicorn serves in tests/integration/test_web_worker.py: an app that says what it was given."""

import gc
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse

from webapp.web_worker import worker

LARGE = 8 * 1024 * 1024

worker.MOST_ON_DISK = int(os.environ.get("MOST_ON_DISK", worker.MOST_ON_DISK))


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """/echo counts the body, /large is bytes, /file a file (?20: from there), /stream comes in pieces, /bye closes.

    /on_disk says how many bytes of bodies the worker believes to have on the disk, /headers the request's headers.
    """
    body: Callable[[], Iterable[bytes]] = {
        "/echo": lambda: [str(len(environ["wsgi.input"].read())).encode()],
        "/on_disk": lambda: [str(_on_disk()).encode()],
        "/headers": lambda: [json.dumps({name: environ[name] for name in environ if name[:5] == "HTTP_"}).encode()],
        "/large": lambda: [b"x" * LARGE],
        "/file": lambda: _file(environ),
        "/stream": lambda: (b"y" * 65536 for _ in range(LARGE // 65536)),
    }.get(environ["PATH_INFO"], lambda: [b"hello"])
    content = body()
    headers = [("Connection", "close")] if environ["PATH_INFO"] == "/bye" else []
    if isinstance(content, list):
        headers.append(("Content-Length", str(len(content[0]))))
    elif environ["PATH_INFO"] == "/file":
        size = _served().stat().st_size - int(environ["QUERY_STRING"] or 0)
        headers.append(("Content-Length", str(size)))
    start_response("200 OK", headers)
    return content


def _file(environ: dict[str, Any]) -> Iterable[bytes]:
    file = _served().open("rb")
    file.seek(int(environ["QUERY_STRING"] or 0))
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    return wrapped


def _on_disk() -> int:
    return next(found._on_disk for found in gc.get_objects() if isinstance(found, worker.Worker))


def _served() -> Path:
    return Path(os.environ["SERVED_FILE"])
