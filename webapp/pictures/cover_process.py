"""Decodes covers in a process of its own, for web processes: `python -m webapp.pictures.cover_process`.

A file of a few bytes may decode to 24 megapixels, for which decoders take up to 340 MB. A web process would keep that,
and every other request with it would end if there were not as much memory. The process gets no settings or secrets.
"""

import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO

from webapp.errors import FindMeError
from webapp.processes import follow_parent

SIDE = 1600
SECONDS = 60
"""After which a decoder that is still at work is ended."""

MOST_MEMORY = 2 * 2**30
"""Bytes of addresses that the process may use, half of which are libraries."""

_REFUSED = 3
"""The exit status with which the code of a fault is printed instead of a picture."""


def render(stream: IO[bytes], max_megapixels: float) -> bytes:
    """Return a picture as a JPEG that can be served: upright, in sRGB, without metadata, long side ≤ SIDE.

    Raises:
        UnsupportedType, TooLarge: it can't be used; the code says why.
    """
    from webapp.pictures import imaging

    command = [sys.executable, "-m", "webapp.pictures.cover_process", str(max_megapixels), str(os.getpid())]
    # One thread for numpy: each of them would take addresses for itself.
    env = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    env |= {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    with tempfile.TemporaryFile() as file:
        stream.seek(0)
        shutil.copyfileobj(stream, file, 2**20)
        file.seek(0)
        try:
            done = subprocess.run(command, stdin=file, capture_output=True, env=env, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise imaging.fault("too_many_pixels") from error
    if done.returncode == 0:
        return done.stdout
    # Whatever else has ended it, it was the picture: too much memory, or a fault in a decoder.
    code = done.stdout.decode() if done.returncode == _REFUSED else "too_many_pixels"
    raise imaging.fault(code)


def main() -> int:
    """Write the JPEG of the picture on standard input to standard output, or the code of its fault."""
    max_megapixels, parent = float(sys.argv[1]), int(sys.argv[2])
    follow_parent(parent)
    with suppress(ValueError, OSError):  # where a tighter limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    try:
        made = _rendered(sys.stdin.buffer, max_megapixels)
    except FindMeError as error:
        sys.stdout.write(error.code)
        return _REFUSED
    sys.stdout.buffer.write(made)
    return 0


def _rendered(stream: IO[bytes], max_megapixels: float) -> bytes:
    from PIL import Image

    from webapp.pictures import imaging

    picture = Image.fromarray(imaging.decode(stream, max_megapixels=max_megapixels).frame)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=82, progressive=True)
    return made.getvalue()


if __name__ == "__main__":
    sys.exit(main())
