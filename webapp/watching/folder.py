"""What lies in a watched folder: which files are pictures, and which of them are complete."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PICTURES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif", ".avif"})
_RAW = "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
_SIDECARS = "aae cop cos dop lrv on1 pp3 spd thm txt wav xmp"
_VIDEOS = "3gp avi braw crm m2ts m4v mkv mov mp4 mpg mts mxf webm wmv"
_BY_ENDING = {
    f".{ending}": kind
    for kind, endings in (("RAW", _RAW), ("sidecar", _SIDECARS), ("video", _VIDEOS))
    for ending in endings.split()
}
_KINDS_OF_FILES = frozenset(
    f"{_RAW} raws jpg jpgs jpeg jpegs jpe heic heif hif avif photo photos picture pictures file files".split()
)
"""Words of folder names that say of which kind the files are, and nothing about the camera."""

_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "autorun.inf", "icon\r"})
_UNFINISHED = frozenset({".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".!ut"})


def kind_of(name: str) -> str:
    """`picture`, or what else a file is by its name: `RAW`, `sidecar`, `video`, `system`, `unfinished`, `other`."""
    lower = name.lower()
    ending = os.path.splitext(lower)[1]  # noqa: PTH122 - a name, not a path
    if lower.startswith(".") or lower in _SYSTEM:
        return "system"
    # Names that programs give to files that they are still writing; they are renamed when they are complete.
    if ending in _UNFINISHED or lower.startswith("~"):
        return "unfinished"
    return "picture" if ending in PICTURES else _BY_ENDING.get(ending, "other")


def pair_key(path: str) -> str:
    """What a RAW file and its JPEG have in common: the name without ending, and the folder.

    Folders that differ only in the kind of their files (`RAW` and `JPG`, `CAM_A_RAW` and `CAM_A`) are the same. Two
    cameras use the same numbers, so other folders never pair.
    """
    *parts, name = path.replace(os.sep, "/").lower().split("/")
    last = re.split(r"[\s_.()-]+", parts.pop()) if parts else []
    camera = "_".join(word for word in last if word and word not in _KINDS_OF_FILES)
    return "/".join(filter(None, (*parts, camera, os.path.splitext(name)[0])))  # noqa: PTH122 - a name, not a path


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is known to be the same as before: size in bytes, time of its last change in nanoseconds."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, state: os.stat_result) -> "Stamp":
        return cls(state.st_size, state.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: pictures by their path below the folder, other files counted by kind, RAW files by their path as well,
    and folders that can't be read.
    """

    pictures: dict[str, Stamp] = field(default_factory=dict)
    aside: Counter[str] = field(default_factory=Counter)
    raw: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def without_picture(self, sent: Iterable[str]) -> list[str]:
        """RAW files whose JPEG neither lies here nor is among those that were sent, which may be gone since."""
        if not self.raw:
            return []
        pairs = {pair_key(path) for path in (*self.pictures, *sent)}
        return [path for path in self.raw if pair_key(path) not in pairs]


def look(root: Path) -> Seen:
    """Everything below `root`. Links to folders are not followed, so that a circle of them is no trap. Links to files
    elsewhere are counted and not followed: whoever fills the folder could name any file of the photographer's.

    Raises:
        OSError: the folder itself is not there, such as a card that was pulled out.
    """
    seen = Seen()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if folder == root:
                raise
            seen.unreadable.append(folder.relative_to(root).as_posix())
            continue
        waiting.extend(reversed([Path(entry.path) for entry in entries if _is_folder(entry)]))
        for entry in _files(entries):
            _note(seen, root, entry)
    return seen


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")


def _files(entries: list[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    for entry in entries:
        try:
            if entry.is_file():
                yield entry
        except OSError:
            continue  # it has just gone


def _note(seen: Seen, root: Path, entry: os.DirEntry[str]) -> None:
    kind = kind_of(entry.name)
    if kind == "picture" and entry.is_symlink() and not _lies_below(root, entry):
        kind = "other"
    if kind != "picture":
        seen.aside[kind] += 1
        if kind == "RAW":
            seen.raw.append(os.path.relpath(entry.path, root))
        return
    try:
        stamp = Stamp.of(entry.stat())
    except OSError:
        return  # it has just gone
    seen.pictures[os.path.relpath(entry.path, root)] = stamp


def _lies_below(root: Path, entry: os.DirEntry[str]) -> bool:
    return Path(entry.path).resolve().is_relative_to(root.resolve())


class Settling:
    """Which pictures are complete: those that two looks `seconds` apart found unchanged."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[str, tuple[Stamp, float]] = {}

    def complete(self, pictures: dict[str, Stamp]) -> dict[str, Stamp]:
        """Those of `pictures` that have stood still for long enough; an empty file has only been begun."""
        now = time.monotonic()
        before, self._since = self._since, {}
        for path, stamp in pictures.items():
            known = before.get(path)
            self._since[path] = known if known is not None and known[0] == stamp else (stamp, now)
        return {
            path: stamp
            for path, (stamp, since) in self._since.items()
            if stamp.size > 0 and now - since >= self._seconds
        }
