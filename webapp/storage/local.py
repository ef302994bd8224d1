"""Blobs as files below one folder."""

import contextlib
import errno
import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from webapp.errors import NotFound, Transient
from webapp.storage.blobs import PROBE, BlobInfo
from webapp.storage.folders import in_folder, remove_empty, remove_tree

_ID_FILE = ".store-id"


class LocalBlobStore:
    """Files below `root`. A blob appears whole or not at all: it is written beside, synced and renamed.

    Folders are made for their first file and go with the last one.
    """

    origin = None
    direct_uploads = None

    def __init__(self, root: Path) -> None:
        """Make the folder.

        Raises:
            Transient: `storage_away`: it can't be made.
        """
        self._root = root.resolve()
        self._incoming = self._root / ".incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Transient(f"{self._root} can't be written to: {error.strerror}", code="storage_away") from error

    @property
    def identity(self) -> str:
        """`local:` and the id that lies in the folder, made by whoever asks first: the folder counts, not its path."""
        path = self._root / _ID_FILE
        try:
            if not path.exists():
                self._make_id(path)
            return f"local:{path.read_text(encoding='ascii').strip()}"
        except OSError as error:
            raise Transient(code="storage_away") from error

    def put(self, key: str, source: IO[bytes]) -> BlobInfo:
        target = self.path(key)
        draft = self._incoming / secrets.token_hex(12)
        try:
            with draft.open("xb") as file:
                shutil.copyfileobj(source, file, 1024 * 1024)
                file.flush()
                os.fsync(file.fileno())
            in_folder(target.parent, lambda: draft.replace(target))
        except OSError as error:
            code = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "storage_away"
            raise Transient(code=code) from error
        finally:
            # Whatever went wrong, also in the source, leaves nothing behind.
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        return self.info(key)

    def open(self, key: str) -> IO[bytes]:
        try:
            return self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFound(code="blob_missing") from error
        except OSError as error:
            raise Transient(code="storage_away") from error

    def info(self, key: str) -> BlobInfo:
        path = self.path(key)
        try:
            state = path.stat()
        except FileNotFoundError as error:
            raise NotFound(code="blob_missing") from error
        except OSError as error:
            raise Transient(code="storage_away") from error
        stamp = f"{key}:{state.st_size}:{state.st_mtime_ns}".encode()
        return BlobInfo(key, state.st_size, hashlib.sha256(stamp).hexdigest()[:32])

    def url(self, key: str, *, content_type: str, download_name: str | None = None) -> str | None:  # noqa: ARG002 - the protocol's
        return None

    def delete(self, key: str) -> None:
        try:
            path = self.path(key)
            path.unlink(missing_ok=True)
            remove_empty(path.parent, self._root)
        except OSError as error:
            raise Transient(code="storage_away") from error

    def delete_all(self, prefix: str) -> None:
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} might mean more than was meant")
        try:
            path = self.path(prefix)
            remove_tree(path)
            remove_empty(path.parent, self._root)
        except OSError as error:
            raise Transient(code="storage_away") from error

    def keys(self, prefix: str) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            if Path(folder) == self._incoming:
                continue
            for name in names:
                key = (Path(folder) / name).relative_to(self._root).as_posix()
                if key.startswith(prefix) and key != _ID_FILE:
                    yield key

    def dated_keys(self, prefix: str, after: str = "") -> Iterator[tuple[str, datetime]]:
        begun = tuple(after.split("/"))
        for folder, folders, names in os.walk(self._root):
            place = () if Path(folder) == self._root else Path(folder).relative_to(self._root).parts
            # What comes before is not even looked into. Files of a folder come before what lies in folders below it.
            folders[:] = sorted(name for name in folders if (*place, name) >= begun[: len(place) + 1])
            if not place:
                folders[:] = [name for name in folders if name != self._incoming.name]
            for name in sorted(names):
                key = "/".join((*place, name))
                if not key.startswith(prefix) or key == _ID_FILE or (after and (*place, name) <= begun):
                    continue
                with contextlib.suppress(FileNotFoundError):  # it has just gone
                    yield key, datetime.fromtimestamp((Path(folder) / name).stat().st_mtime, UTC)

    def forget_drafts(self, older_than: datetime) -> int:
        forgotten = 0
        for draft in self._incoming.iterdir():
            with contextlib.suppress(OSError):  # its writer was faster
                if draft.stat().st_mtime < older_than.timestamp():
                    draft.unlink()
                    forgotten += 1
        return forgotten

    def check(self) -> None:
        self.put(PROBE, io.BytesIO(b"ok"))
        self.delete(PROBE)

    def path(self, key: str) -> Path:
        """The file of a key; a key that would leave the folder is a fault of ours and never served."""
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or path == self._root:
            raise NotFound(code="blob_missing")
        return path

    def _make_id(self, path: Path) -> None:
        """Write the id beside and link it to its place, which only one of several processes can do."""
        draft = self._incoming / secrets.token_hex(12)
        draft.write_text(secrets.token_hex(16), encoding="ascii")
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        except OSError:
            # A file system without hard links: here two first starts in the same moment might see two ids, and the one
            # that lost is then told to start again.
            if not path.exists():
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
