"""The command `flask findme try-rekognition`.

Imports the rest of the package only when it runs: web processes load this module and must not load boto3.
"""

import json
import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from webapp import queueing
from webapp.errors import ConfigurationError
from webapp.settings import Settings


@click.command("try-rekognition")
@click.option("--yes", is_flag=True, help="Don't ask before calls that cost money.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@with_appcontext
def try_rekognition(yes: bool, as_json: bool) -> None:
    """Call every Rekognition operation that FindMe needs, on temporary collections and sample faces.

    The report holds neither keys nor the account's id, so it can be sent on. Exits with 0 only if everything works.
    """
    from webapp.ops.try_rekognition import opt_out, trial
    from webapp.ops.try_rekognition.report import Report

    settings: Settings = current_app.extensions["settings"]
    try:
        _require_region(settings)
        samples = trial.draw_samples()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    if not yes:
        _confirm(settings)
    report = Report(trial.run(settings, queueing.connection(), samples), settings, opt_out.check(settings))
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        click.echo("\n".join(report.lines()))
    if not report.succeeded:
        sys.exit(1)


def _confirm(settings: Settings) -> None:
    from webapp.ops.try_rekognition.recording import MOST_CALLS
    from webapp.ops.try_rekognition.trial import USUAL_CALLS

    price = settings.rekognition_price_per_1000 / 1000
    click.confirm(
        f"This makes about {USUAL_CALLS} billable calls (${USUAL_CALLS * price:.3f}), "
        f"at most {MOST_CALLS} (${MOST_CALLS * price:.3f}). Go on?",
        abort=True,
        err=True,
    )


def _require_region(settings: Settings) -> None:
    """Check that a region is set and has the service.

    Raises:
        ConfigurationError: neither is the case; says what to set.
    """
    from webapp import aws
    from webapp.faces.rekognition import quotas

    if not quotas.region(settings):
        raise ConfigurationError("Set REKOGNITION_REGION, or AWS_REGION, to a region that has Rekognition.")
    aws.client(settings, "rekognition")
