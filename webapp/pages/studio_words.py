"""Figures of an event in people's words: moments on charts, sizes of files, the time that is left."""

from dataclasses import dataclass

from flask_babel import format_date, format_datetime, format_decimal, format_time, gettext, ngettext

from webapp.models import Event
from webapp.services.events.timezones import zone_of
from webapp.services.queries.guests_without import Why
from webapp.services.queries.timeline import DAY, HOUR, MINUTE, Chart

_KILO, _MEGA, _GIGA, _TERA = 10**3, 10**6, 10**9, 10**12


@dataclass(frozen=True, slots=True)
class ChartTable:
    """A chart as the table that it is drawn from: what a row stands for, and each row's label and counts."""

    unit: str
    rows: list[tuple[str, tuple[int, ...]]]
    totals: tuple[int, ...]


def chart_table(chart: Chart | None, event: Event) -> ChartTable | None:
    """A chart in the reader's language and the event's timezone; None where there is nothing to show."""
    if chart is None:
        return None
    moments = [moment.astimezone(zone_of(event)) for moment, _ in chart.rows]
    several_days = moments[0].date() != moments[-1].date()

    def label(index: int) -> str:
        moment = moments[index]
        if chart.seconds >= DAY:
            return str(format_date(moment, "d MMM", rebase=False))
        if several_days:
            return str(format_datetime(moment, "EEE HH:mm", rebase=False))
        return str(format_time(moment, "short", rebase=False))

    rows = [(label(index), counts) for index, (_, counts) in enumerate(chart.rows)]
    return ChartTable(_unit(chart.seconds), rows, chart.totals)


def reasons(counts: dict[Why, int]) -> list[tuple[str, str, int]]:
    """Why guests have no photo: the word for an address, the label, and how many guests."""
    labels = {
        Why.STOPPED: gettext("Search stopped"),
        Why.UNSEEN: gettext("Only on photos that guests don’t see"),
        Why.DISABLED: gettext("Account disabled"),
        Why.NOT_ADMITTED: gettext("Not admitted"),
        Why.ADMISSION: gettext("Waiting to be admitted"),
        Why.LIMIT: gettext("Limit reached"),
        Why.FAILED: gettext("Failed"),
        Why.REFUSED: gettext("Selfie refused"),
        Why.CHECKING: gettext("Selfie being checked"),
        Why.WITHDRAWN: gettext("Consent withdrawn"),
        Why.NO_SELFIE: gettext("No selfie"),
        Why.ASKED: gettext("Asked about a face"),
        Why.SEARCHING: gettext("Search under way"),
        Why.NONE_FOUND: gettext("None found"),
    }
    return [(why.value, labels[why], count) for why, count in counts.items()]


def _unit(seconds: int) -> str:
    if seconds >= DAY:
        return str(ngettext("per day", "per %(num)s days", seconds // DAY))
    if seconds >= HOUR:
        return str(ngettext("per hour", "per %(num)s hours", seconds // HOUR))
    return str(ngettext("per minute", "per %(num)s minutes", seconds // MINUTE))


def time_left(minutes: int) -> str:
    """About how long something will still take."""
    if minutes <= 1:
        return str(gettext("about a minute left"))
    if minutes < 90:
        return str(ngettext("about %(num)s min left", "about %(num)s min left", minutes))
    hours = round(minutes / 60)
    return str(ngettext("about %(num)s hour left", "about %(num)s hours left", hours))


def file_size(size: int) -> str:
    """How much room files take, in decimal units as on a memory card."""
    if size >= _TERA:
        return str(gettext("%(size)s TB", size=format_decimal(size / _TERA, "#,##0.0")))
    if size >= _GIGA:
        return str(gettext("%(size)s GB", size=format_decimal(size / _GIGA, "#,##0.0")))
    if size >= _MEGA:
        return str(gettext("%(size)s MB", size=format_decimal(size / _MEGA, "#,##0")))
    return str(gettext("%(size)s kB", size=format_decimal(-(-size // _KILO))))
