"""Whether a live region shows the present state already: told by one read of Redis, without the database.

Each event, its desk (what the studio shows) and its bill, each person and each session has a *mark* in Redis: a random
word that is set anew after every commit that changes something of it. What a region shows is named by its *stamp*: a
digest of its contents, and the names of the marks that they hang on. When a poll was answered from the database, its
page's key keeps for LIFE seconds the stamp, and the words that the marks had *before* the database was read. As long as
the stamp of a browser and the words are those, nothing has happened since, and nobody has to look.

So no key outlives a change: whoever read the old state has also seen the old words. Marks are random and not counted,
so that one that was forgotten and set again is never taken for an earlier one. A mark that could not be set, since
Redis was away, is made good by the end of LIFE.

`webapp.services.live.tracking` decides which rows count, by listening to the session: no service has to remember to say
that it changed something. Only the bill of calls is written past the session, and says so itself.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import redis
import structlog
from flask import current_app

from webapp import tokens
from webapp.queueing import connection
from webapp.settings import Settings

log = structlog.get_logger()

LIFE = 30
"""Seconds for which a page's key holds."""

_MARK_LIFE = 600
"""Seconds for which a mark is kept: far longer than any key that has seen the one before."""

_PAUSE = 5.0
"""Seconds for which polls don't ask a Redis that did not answer, so that none of them waits for it again."""

_STAMP = re.compile(r"[0-9a-f]{16}((?:\.[0-9a-f]{16}){1,2})")

EVENT, DESK, BILL, PERSON, SESSION = "event", "desk", "bill", "person", "session"


@dataclass(frozen=True, slots=True)
class Look:
    """What Redis said before the database was asked."""

    key: str
    marks: tuple[str, ...]
    words: tuple[str, ...]
    is_current: bool
    """The browser shows the present state, and its session lives."""


def mark_of(kind: str, key: int | str) -> str:
    """The name of a mark, from which nobody learns whose it is.

    `key` is the row's own; for a bill the event's public id, for a session its hashed token.
    """
    settings: Settings = current_app.extensions["settings"]
    secret = hashlib.sha256(settings.secret_key.get_secret_value().encode()).digest()
    return hashlib.blake2b(f"{kind}:{key}".encode(), digest_size=8, key=secret).hexdigest()


def stamp(shown: object, *marks: str) -> str:
    """Names what a region shows. `shown` is of plain values, whose repr says everything of them."""
    return ".".join([hashlib.sha256(repr(shown).encode()).hexdigest()[:16], *marks])


def look(token: str, page: str, shown: str) -> Look | None:
    """Ask Redis, in one read, whether the browser of this session is up to date with what it shows of a page.

    None when the stamp is none, or when Redis is away: then only the database knows.
    """
    parts = _STAMP.fullmatch(shown)
    if parts is None or _is_away():
        return None
    key = "findme:live:page:" + mark_of(page, token)
    marks = tuple(parts[1].split(".")[1:])
    session = mark_of(SESSION, tokens.token_hash(token))
    try:
        found = cast("list[bytes | None]", connection().mget([key, *map(_place, (*marks, session))]))
    except redis.RedisError:
        current_app.extensions["live_asks_again_at"] = time.monotonic() + _PAUSE
        return None
    kept, *words = [(value or b"").decode() for value in found]
    return Look(key, marks, tuple(words), is_current=kept == _kept(shown, words))


def keep(seen: Look, shown: str) -> None:
    """Remember that this was the state, as the database says, for the page and the session that were asked about."""
    if tuple(shown.split(".")[1:]) != seen.marks:
        return  # the browser named other marks than its page's: their words say nothing of this page
    try:
        connection().set(seen.key, _kept(shown, seen.words), ex=LIFE)
    except redis.RedisError as error:
        log.warning("live.not_kept", error=type(error).__name__)


def moved(marks: Iterable[str]) -> None:
    """Something that hangs on these marks has changed, and the change is committed. Never fails."""
    try:
        with connection().pipeline(transaction=False) as pipeline:
            for name in marks:
                pipeline.set(_place(name), secrets.token_hex(8), ex=_MARK_LIFE)
            pipeline.execute()
    except redis.RedisError as error:
        log.warning("live.not_marked", error=type(error).__name__)


def recall(mark: str, name: str) -> tuple[str | None, str | None]:
    """The present word of a mark, and what was remembered while it was the same.

    The word is None when Redis is away, the text when there is none that holds.
    """
    if _is_away():
        return None, None
    try:
        word, kept = cast("list[bytes | None]", connection().mget([_place(mark), f"{_place(mark)}:{name}"]))
    except redis.RedisError:
        current_app.extensions["live_asks_again_at"] = time.monotonic() + _PAUSE
        return None, None
    present = (word or b"").decode()
    told, _, text = (kept or b"-").decode().partition("|")
    return present, text if kept is not None and told == present else None


def remember(mark: str, name: str, word: str, text: str) -> None:
    """Keep for LIFE seconds what was found out in a transaction that began after the mark had this word."""
    try:
        connection().set(f"{_place(mark)}:{name}", f"{word}|{text}", ex=LIFE)
    except redis.RedisError as error:
        log.warning("live.not_kept", error=type(error).__name__)


def _kept(shown: str, words: Iterable[str]) -> str:
    return "|".join([shown, *words])


def _place(mark: str) -> str:
    return f"findme:live:mark:{mark}"


def _is_away() -> bool:
    return bool(time.monotonic() < current_app.extensions.get("live_asks_again_at", 0.0))
