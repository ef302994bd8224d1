"""What templates can use beyond Jinja's own: icons, dates in people's language, ratios, accents."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, current_app, request, url_for
from flask_babel import format_currency, format_date, format_decimal, format_time, get_locale, gettext
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from webapp import accents
from webapp.models import Event
from webapp.pictures import imaging
from webapp.reasons import sentence
from webapp.settings import ROOT
from webapp.web.bundles import asset, bundles
from webapp.web.links import absolute, absolute_preview, cover_version, event_url, landing_url
from webapp.web.requests import in_app

LANGUAGES = {"en": "English", "fr": "Français"}
OG_LOCALES = {"en": "en_US", "fr": "fr_FR"}
"""A language → how the Open Graph protocol names it, which wants a country as well."""

ACCENTS = tuple(accents.PALETTE)
FONTS = ("figtree.woff2", "instrument-serif.woff2")
_MORE_LETTERS = re.compile("[\u0100-\u0130\u0132-\u0151\u0154-\u0177\u0179-\u024f\u1e00-\u1eff]")
"""What the second file of each font has, as far as names of people and places need it (static/css/parts/fonts.css)."""

ICONS = ROOT / "static" / "vendor" / "icons"
MOST_COLOURS = 60
"""In one style sheet; an event beyond that is shown in ours."""

YEAR = 365 * 24 * 3600


def init_app(app: Flask) -> None:
    """Give the app's templates their filters, functions and values."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        filter_.__name__: _each_time(filter_) for filter_ in (day, moment, number, dollars, sentence)
    }
    app.jinja_env.filters["merged"] = merged
    app.jinja_env.globals |= {"asset": asset, "icon": icon, "accent_of": accent_of, "ratio_class": ratio_class}
    app.jinja_env.globals |= {"early_script": early_script, "fonts_for": fonts_for}
    app.jinja_env.globals |= {"accent_sheet": accent_sheet, "cover_url": cover_url, "small_cover_url": small_cover_url}
    app.jinja_env.globals |= {"opened_in": opened_in, "chrome_link": in_app.chrome_link, "landing_url": landing_url}
    app.jinja_env.globals |= {"absolute": absolute, "event_url": event_url, "preview_url": absolute_preview}
    app.jinja_env.globals |= {"preview_size": imaging.LINK_PREVIEW, "og_locale": OG_LOCALES.__getitem__}
    app.jinja_env.globals["accent_name"] = accents.name_of
    app.context_processor(_page_values)


def _each_time(filter_: Callable[..., str]) -> Callable[..., str]:
    """The filter, asked at each rendering. Of a constant Jinja would ask it once, while it compiles the template, and
    everyone would read the language of whoever opened the page first.
    """

    @pass_context
    def ask(_context: Context, *values: object) -> str:
        return filter_(*values)

    return ask


def fonts_for(event: Event | None) -> tuple[str, ...]:
    """The fonts that a page needs at once, by their plain names; of letters such as Ł only where the event has some."""
    texts = {} if event is None else {"instrument-serif-ext.woff2": event.name, "figtree-ext.woff2": event.place}
    return (*FONTS, *(font for font, text in texts.items() if _MORE_LETTERS.search(text)))


def early_script() -> Markup:
    """The one script that pages have inline; the content policy names it by its hash."""
    return Markup(f"<script>{bundles().manifest.early_script}</script>")  # noqa: S704 - our own file, as it was built


@lru_cache(maxsize=128)
def _svg(name: str) -> str:
    try:
        source = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    except OSError:
        return ""
    source = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
    source = re.sub(r'\sclass="[^"]*"', "", source, count=1)
    attributes = 'class="icon" aria-hidden="true" focusable="false"'
    return re.sub(r"\s+", " ", source).replace("<svg ", f"<svg {attributes} ", 1).strip()


def icon(name: str) -> Markup:
    """A Lucide icon as inline SVG, for eyes only: the words beside it say the same."""
    return Markup(_svg(name))  # noqa: S704 - our own files, never a person's input


def accent_of(event: Event | None) -> str:
    """The event's accent: the photographer's colour, else one of ACCENTS that is steady for each event."""
    if event is None:
        return ACCENTS[0]
    return accents.name_of(accents.given(event.accent, event.public_id))


def accent_sheet(*events: Event | None) -> str | None:
    """The address of the style sheet for those of the events' colours that are not in tokens.css; None without any."""
    names = {accent_of(event) for event in events if event is not None}
    colours = sorted(name.removeprefix("c-") for name in names if accents.is_own(name))[:MOST_COLOURS]
    return url_for("sharing.accent", colours="-".join(colours)) if colours else None


def cover_url(event: Event) -> str | None:
    """Where browsers find the event's cover; the address changes with the picture. None where it has none."""
    version = cover_version(event)
    return url_for("sharing.cover", code=event.code, v=version) if version is not None else None


def small_cover_url(event: Event) -> str | None:
    """Where browsers find the cover's small copy, for phones; None where it has none."""
    if event.cover_small_key is None:
        return None
    return url_for("sharing.cover", code=event.code, v=cover_version(event), size="small")


def opened_in() -> in_app.Place:
    """Where the present page was opened: in a browser, or in the one of an app."""
    return in_app.place_of(request.user_agent.string)


def ratio_class(width: int | None, height: int | None) -> str:
    """The class that gives a photo's box its ratio, in steps of 0.05 from 0.4 to 3 (static/css/ratios.css)."""
    if not width or not height:
        return "ratio-150"
    return f"ratio-{min(300, max(40, round(width / height * 20) * 5))}"


def day(value: date | None, style: str = "long") -> str:
    """A day in words: June 6, 2026 or 6 juin 2026."""
    return format_date(value, style) if value else ""


def moment(value: datetime | None, event: Event | None = None) -> str:
    """A moment in the event's own timezone, else in UTC: Jun 6, 2026, 10:55 PM."""
    if value is None:
        return ""
    try:
        zone = ZoneInfo(event.timezone) if event else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    local = value.astimezone(zone)
    return f"{format_date(local, 'medium', rebase=False)}, {format_time(local, 'short', rebase=False)}"


def number(value: float) -> str:
    """A number with the separators of the reader's language."""
    return str(format_decimal(value))


def dollars(value: float) -> str:
    """An estimate in US dollars, rounded up to the cent, so that what costs something never looks free."""
    return str(format_currency(math.ceil(round(value * 100, 6)) / 100, "USD"))


def merged(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """Two mappings as one, for attributes of fields."""
    return {**first, **second}


def _page_values() -> dict[str, object]:
    locale = get_locale()
    return {
        "language": locale.language if locale else "en",
        "languages": LANGUAGES,
        "settings": current_app.extensions.get("settings"),
        "product": gettext("FindMe"),
    }
