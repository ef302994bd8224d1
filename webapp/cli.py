"""`flask findme …`: what ops do from a shell."""

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from webapp import demo
from webapp.errors import FindMeError
from webapp.models import User, UserRole
from webapp.queueing import unit_of_work
from webapp.reasons import explain
from webapp.services import accounts, recovery

findme = AppGroup("findme", help="Look after a FindMe installation.")


def init_app(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(findme)


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


@findme.command("demo")
def make_demo() -> None:
    """Make the demo event, if it is not there, and write DATA_DIR/demo.json."""
    click.echo(demo.describe(demo.ensure(current_app.extensions["settings"])))


@findme.command("sweep")
def sweep() -> None:
    """Enqueue every row that waits without a job."""
    count = recovery.sweep()
    click.echo("It is another process' turn, or Redis is away." if count is None else f"{count} jobs enqueued.")


@findme.command("release-claims")
@click.argument("workers", nargs=-1, required=True)
def release_claims(workers: tuple[str, ...]) -> None:
    """Free the rows that these dead workers held."""
    click.echo(f"{recovery.release_claims(workers)} rows freed.")


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
