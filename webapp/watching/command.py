"""`flask watch FOLDER --event CODE`, or `python -m webapp.watching` where only the folder is, and not the server."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from flask.cli import ScriptInfo

from webapp.errors import ConfigurationError, FindMeError
from webapp.reasons import explain
from webapp.settings import Settings

if TYPE_CHECKING:
    from webapp.watching.watch import Options, Watch


@click.command("watch")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--event", "code", required=True, help="The event's code.")
@click.option("--url", envvar="FINDME_URL", help="The server's address.  [default: this installation's]")
@click.option("--token", envvar="FINDME_TOKEN", help="An upload token of the event (better: FINDME_TOKEN).")
@click.option("--once", is_flag=True, help="Send what is there, then end: 0 all is sent, 1 something is not.")
@click.option("--at-once", default=4, show_default=True, type=click.IntRange(1, 16), help="Pictures under way.")
@click.option("--settle", default=2.0, show_default=True, type=click.FloatRange(0.1, 60), help="Seconds a file rests.")
@click.option("--patience", default=120.0, show_default=True, help="Seconds to bear with a server, with --once.")
def watch(
    folder: Path,
    code: str,
    url: str | None,
    token: str | None,
    once: bool,
    at_once: int,
    settle: float,
    patience: float,
) -> None:
    """Send new photos of FOLDER to an event, as they are complete, until Ctrl-C."""
    # The web processes load this command's name with all others, and have no use for an HTTP client.
    from webapp.watching.watch import Options

    settings = _settings()
    address = url or settings.public_url or f"http://127.0.0.1:{settings.port}"
    if not address.startswith(("http://", "https://")):
        raise click.UsageError("--url begins with https:// or http://")
    options = Options(at_once=at_once, settle=settle, once=once, patience=patience)
    with _a_token(token, code) as granted:
        result = _run(Job(folder, code, address, granted, settings.data_dir / "watch"), options)
    click.get_current_context().exit(result)


@dataclass(frozen=True, slots=True)
class Job:
    """What goes where: the folder, the event's code, the server and its token, and where manifests lie."""

    folder: Path
    code: str
    address: str
    token: str
    home: Path


def _run(job: Job, options: "Options") -> int:
    from webapp.watching.manifest import InUseError, Manifest
    from webapp.watching.saying import Voice
    from webapp.watching.sending import normalised
    from webapp.watching.server import Server
    from webapp.watching.watch import Watch

    file = Manifest.file_for(job.home, job.folder, job.address, normalised(job.code))
    stopped = threading.Event()
    try:
        with closing(Server(job.address, job.token, stopped, options.at_once)) as server, Manifest(file) as manifest:
            watcher = Watch(job.folder, job.code, server, manifest, options=options, stopped=stopped, voice=Voice())
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, partial(_stop, watcher))
            return watcher.run()
    except InUseError as error:
        raise click.ClickException("Another program watches this folder for this event already.") from error


def _stop(watcher: "Watch", number: int, _frame: FrameType | None) -> None:
    watcher.stop()
    signal.signal(number, signal.SIG_DFL)  # whoever asks twice means it


def _settings() -> Settings:
    try:
        return Settings.from_env()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _a_token(token: str | None, code: str) -> Iterator[str]:
    """The token that was given; beside the server, where the database is at hand, one for as long as this runs."""
    info = click.get_current_context().find_object(ScriptInfo)
    if token:
        yield token
    elif info is None:
        raise click.UsageError("Give the event's upload token with --token, or better in FINDME_TOKEN.")
    else:
        from webapp.services.uploads import upload_tokens

        try:
            with info.load_app().app_context():
                name, granted = upload_tokens.create_for_folder(code, socket.gethostname())
        except FindMeError as error:
            raise click.ClickException(explain(error)) from error
        try:
            yield granted
        finally:
            with info.load_app().app_context():
                upload_tokens.forget(name)
