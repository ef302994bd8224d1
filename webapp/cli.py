"""`flask findme …`: what ops do from a shell."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import UTC, datetime

import click
import redis
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy import or_, select

from webapp import queueing
from webapp.db.database import beside
from webapp.db.extensions import db
from webapp.errors import FindMeError, NotFound
from webapp.models import Event, User, UserRole
from webapp.ops import identity
from webapp.ops.doctor.command import doctor
from webapp.ops.try_rekognition.command import try_rekognition
from webapp.queueing import unit_of_work
from webapp.reasons import explain
from webapp.services.accounts import accounts, disabling, ending_access
from webapp.services.erasure import event_erasure
from webapp.services.events import events
from webapp.services.matching import reconciling
from webapp.services.recovery import dead_workers, sweeper
from webapp.services.upkeep import affected, cleanup, installation_check, load_data
from webapp.watching.command import watch

findme = AppGroup("findme", help="Look after a FindMe installation.")


def init_app(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(findme)
    # The short name is the one that photographers' notes carry; beside the other commands it is found as well.
    app.cli.add_command(watch)
    findme.add_command(watch)
    findme.add_command(doctor)
    findme.add_command(try_rekognition)


@findme.command("create-admin")
@click.argument("email")
@click.option("--name", default="Admin", show_default=True)
@click.password_option()
def create_admin(email: str, name: str, password: str) -> None:
    """Make an admin; the only way to get the first one."""
    _create(email, name, password, UserRole.ADMIN)


@findme.command("create-photographer")
@click.argument("email")
@click.option("--name", default="Photographer", show_default=True)
@click.password_option()
def create_photographer(email: str, name: str, password: str) -> None:
    """Make a photographer, who can create events."""
    _create(email, name, password, UserRole.PHOTOGRAPHER)


@findme.command("disable-account")
@click.argument("email_or_username")
def disable_account(email_or_username: str) -> None:
    """End all access and pending work of an account; nothing that it handed in is deleted."""
    with _said():
        with unit_of_work():
            user = disabling.disable(disabling.find(email_or_username).public_id, None)
            row_id, name = user.id, user.name
        cleanup.give_up_uploads(of=row_id)
    click.echo(f"The account of {name} is disabled.")


@findme.command("enable-account")
@click.argument("email_or_username")
def enable_account(email_or_username: str) -> None:
    """Let the owner of a disabled account sign in again."""
    with _said(), unit_of_work():
        name = disabling.enable(disabling.find(email_or_username).public_id, None).name
    click.echo(f"The account of {name} is enabled.")


@findme.command("demo")
def make_demo() -> None:
    """Make the demo event, if it is not there, and write DATA_DIR/demo.json; `make run` calls this."""
    from webapp.demo import demo_event

    settings = current_app.extensions["settings"]
    if not settings.is_demo:
        raise click.ClickException("Only `make run` makes a demo, without DEMO=0 and ENVIRONMENT=production.")
    demo_event.ensure(settings)
    # No password here: what this prints ends in a log. `make run` shows them on the terminal.
    click.echo(f"The demo event is there; its accounts are in {settings.data_dir / 'demo.json'}.")


@findme.command("sweep")
def sweep() -> None:
    """Enqueue every row that waits without a job."""
    count = sweeper.sweep()
    click.echo("It is another process' turn, or Redis is away." if count is None else f"{count} jobs enqueued.")


@findme.command("adopt-store")
def adopt_store() -> None:
    """Make BLOB_STORE, as it is set now, the installation's; for pictures that were moved there on purpose."""
    with _said():
        store = installation_check.adopt_store()
    click.echo(f"Pictures now lie in {store}. Start all web and worker processes anew.")


@findme.command("adopt-redis")
def adopt_redis() -> None:
    """Make the Redis of REDIS_URL this installation's, after another one that used it is no more."""
    with _said(), beside(db.engine) as connection:
        ours = identity.of_database(connection)
    try:
        identity.adopt_redis(queueing.connection(), ours)
    except redis.RedisError as error:
        raise click.ClickException(f"Redis does not take writes ({error}). Nothing was changed.") from error
    click.echo(f"This Redis now belongs to the installation {ours}. Start all web and worker processes anew.")


@findme.command("release-claims")
@click.argument("workers", nargs=-1, required=True)
def release_claims(workers: tuple[str, ...]) -> None:
    """Free the rows that these dead workers held."""
    click.echo(f"{dead_workers.release_claims(workers)} rows freed.")


@findme.command("reconcile")
@click.argument("event")
@click.option("--check", is_flag=True, help="Only say what differs.")
def reconcile(event: str, check: bool) -> None:
    """Compare what a face service keeps of EVENT (its code or id) with the database, and mend what differs."""
    with _said():
        event_key = _event(event).public_id
        report = reconciling.report_on(event_key)
        click.echo(reconciling.describe(report))
        if check or report.in_order:
            return
        reconciling.request(event_key)
    click.echo("The workers mend it now; matching in this event waits until they are done.")


@findme.command("erase-event")
@click.argument("event")
@click.confirmation_option(prompt="This erases the event, its photos, selfies and faces for good. Go on?")
def erase_event(event: str) -> None:
    """Erase EVENT (its code or id) with everything in it, here and at a face service."""
    with _said(), unit_of_work():
        receipt = event_erasure.erase_event(_event(event), None)
    click.echo(f"Erased; the files follow within a minute. Receipt: {receipt}")


@findme.command("purge-load")
def purge_load() -> None:
    """Erase the guests that a load test made (addresses in load.test), with everything of theirs."""
    with _said():
        click.echo(f"{load_data.purge()} guests of load tests erased; the files follow within a minute.")


@findme.command("affected")
@click.argument("event", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody of the installation, instead of one event.")
@click.option("--until", type=click.DateTime(), help="Leave out who came later than this moment (UTC).")
def list_affected(event: str | None, everybody: bool, until: datetime | None) -> None:
    """Write a CSV of everybody in EVENT (its code or id), with addresses and what is kept of them, to stdout."""
    if (event is None) is not everybody:
        raise click.UsageError("Name an event, or say --all.")
    with _said():
        wanted = _event(event) if event is not None else None
    table = csv.writer(sys.stdout)
    table.writerow(field.name for field in fields(affected.Affected))
    for person in affected.people(wanted, until.replace(tzinfo=UTC) if until else None):
        table.writerow(_cell(value) for value in astuple(person))
    kept = affected.in_photos(wanted)
    click.echo(
        f"Beside these: {kept.photos} photos, with {kept.templates} templates of faces of people with and without an "
        "account.",
        err=True,
    )


@findme.command("end-access")
@click.confirmation_option(
    prompt="This signs everybody out and ends all links, recovery codes, upload tokens and invitations. Go on?"
)
def end_access() -> None:
    """End all sessions, sign-in links, recovery codes, upload tokens and open invitations at once; for a breach."""
    with unit_of_work():
        ended = ending_access.end_all()
    click.echo(
        f"Ended: {ended.sessions} sessions, {ended.links} sign-in links, {ended.upload_tokens} upload tokens, "
        f"{ended.invitations} invitations."
    )


def _cell(value: object) -> str:
    """A value for a CSV that may be opened with a spreadsheet, which would take some names for formulas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


@contextmanager
def _said() -> Iterator[None]:
    """What goes wrong as a sentence."""
    try:
        yield
    except FindMeError as error:
        raise click.ClickException(explain(error)) from error


def _event(code_or_id: str) -> Event:
    found = db.session.scalar(
        select(Event).where(or_(Event.public_id == code_or_id, Event.code_key == events.normalise_code(code_or_id)))
    )
    if found is None:
        raise NotFound(code="event_code_unknown")
    return found


def _create(email: str, name: str, password: str, role: UserRole) -> User:
    try:
        accounts.check_input(email, name, password)
        password_hash = accounts.hash_password(password)
        with unit_of_work():
            user = accounts.create_user(email=email, name=name, password_hash=password_hash, role=role, verified=True)
    except FindMeError as error:
        raise click.ClickException(explain(error)) from error
    click.echo(f"{role.value.capitalize()} {user.email} is ready to sign in.")
    return user
