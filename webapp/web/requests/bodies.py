"""Bodies of requests that are parsed into memory: forms and JSON, each with an upper bound of what parsing may cost.

werkzeug limits each text field of a form, but not all of them together, reads a urlencoded form as a whole whatever its
size, and keeps each file of up to 500 kB in memory and each larger one in an open file of its own.
"""

import io
import os
import tempfile
from typing import IO, Any

from htmx_flask.requests import HtmxAwareRequest
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

MOST_JSON = 64 * 1024
"""Bytes of a JSON body. One byte of it may become 30 in memory: `[[],[],…`."""

MOST_TEXT = 384 * 1024
"""Bytes of a form without the content of its files: fields, boundaries, headers of parts (1,000 files: 384 each)."""

MOST_FIELDS = 1000
"""Fields of a form; more than any page sends."""

FORM_FILES: dict[str, int] = {}
"""Endpoint → files that one form may bring it, for forms that take photos."""

PHOTOS_IN_FORM = 1000

OTHER_FIELDS = 16
"""Parts that a form with files may have besides them, such as its token."""

IN_MEMORY = 256 * 1024
"""Bytes of a request's files that are kept in memory; beyond it all of them are in one file on the disk."""

_CHUNK = 64 * 1024


class BoundedRequest(HtmxAwareRequest):
    """A request whose forms take little memory and one open file at most, whatever they hold.

    Raises RequestEntityTooLarge (413) when a form is read that goes beyond a bound.
    """

    max_form_memory_size = MOST_TEXT
    max_form_parts = MOST_FIELDS
    _files: "_Files | None" = None

    def make_form_data_parser(self) -> FormDataParser:
        """Return a parser that writes the files of this request into one place."""
        self._files = self._files or _Files()
        return _Parser(
            self._files,
            max_form_memory_size=self.max_form_memory_size,
            max_content_length=self.max_content_length,
            max_form_parts=self.max_form_parts,
            cls=self.parameter_storage_class,
        )

    def close(self) -> None:
        """Close the files, also those of a form whose parsing failed."""
        super().close()
        if self._files is not None:
            self._files.close()


class _Files:
    """The contents of all files of a form, one after the other."""

    def __init__(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the request closes it
        self.size = 0

    def begin(self, *_: object, **__: object) -> IO[bytes]:
        """Return a stream for the next file; the earlier ones are complete."""
        return _File(self, self.size)  # type: ignore[return-value]

    def append(self, content: bytes) -> None:
        self._spool.seek(self.size)
        self._spool.write(content)
        self.size += len(content)

    def read_at(self, place: int, size: int) -> bytes:
        self._spool.seek(place)
        return self._spool.read(size)

    def close(self) -> None:
        self._spool.close()


class _File(io.RawIOBase):
    """One file of a form: grows while it is the last one, and is read from any place."""

    def __init__(self, files: _Files, start: int) -> None:
        super().__init__()
        self._files, self._start, self._size, self._place = files, start, 0, 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def write(self, content: Any) -> int:
        if self._start + self._size != self._files.size:
            raise io.UnsupportedOperation("a further file has begun")
        self._files.append(bytes(content))
        self._size += len(content)
        self._place = self._size
        return len(content)

    def readinto(self, target: Any) -> int:
        found = self._files.read_at(self._start + self._place, max(0, min(len(target), self._size - self._place)))
        target[: len(found)] = found
        self._place += len(found)
        return len(found)


class _Text(io.RawIOBase):
    """A form's bytes on their way to the parser; ends in an error when more of them than MOST_TEXT are no file's."""

    def __init__(self, source: IO[bytes], files: _Files) -> None:
        super().__init__()
        self._source, self._files, self._taken = source, files, 0

    def read(self, size: int = -1) -> bytes:
        # What the parser has taken and not written to a file by now is text, but for the piece it has in hand.
        if self._taken - self._files.size > MOST_TEXT + _CHUNK:
            raise RequestEntityTooLarge
        piece = self._source.read(size)
        self._taken += len(piece)
        return piece


class _Parser(FormDataParser):
    def __init__(self, files: _Files, **options: Any) -> None:
        super().__init__(stream_factory=files.begin, **options)
        self._files = files

    def _parse_multipart(self, stream: IO[bytes], *about: Any) -> Any:
        _, form, files = super()._parse_multipart(_Text(stream, self._files), *about)  # type: ignore[arg-type]
        return stream, form, files

    def _parse_urlencoded(self, stream: IO[bytes], *about: Any) -> Any:
        content = _at_most(stream, MOST_TEXT)
        if content.count(b"&") >= MOST_FIELDS:
            raise RequestEntityTooLarge
        return super()._parse_urlencoded(io.BytesIO(content), *about)


def _at_most(stream: IO[bytes], most: int) -> bytes:
    """Read a stream to its end. A part of it is no sign of the end: it may come over a slow network."""
    pieces, size = [], 0
    while piece := stream.read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise RequestEntityTooLarge
    return b"".join(pieces)
