"""Run the checks, one after the other."""

from collections.abc import Iterator

from webapp.errors import ConfigurationError
from webapp.ops.doctor import settings_checks
from webapp.ops.doctor.findings import Check, Context, Finding, fail
from webapp.settings import Settings

CHECKS: tuple[Check, ...] = (
    settings_checks.check_settings,
    settings_checks.check_secrets,
)


def examine() -> Iterator[Finding]:
    """Yield what each check finds, as it is found."""
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        yield fail("settings", str(error), "Nothing else was looked at: set it right and ask again.")
        return
    yield from examine_with(Context(settings))


def examine_with(context: Context, checks: tuple[Check, ...] = CHECKS) -> Iterator[Finding]:
    """Yield what each check finds; one that breaks down is a finding as well."""
    for check in checks:
        try:
            yield from check(context)
        except Exception as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            sentence = f"This could not be looked at: {type(error).__name__}: {error}"
            yield fail(name, sentence, "This is a fault of FindMe's: please report it with this line.")
