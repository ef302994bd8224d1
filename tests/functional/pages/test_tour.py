"""A tour of every page by everyone on a messy event: each link that a page shows leads somewhere."""

import pytest
from flask import Flask

from tests.support import messy_event
from tests.support.actors import Api, World
from tests.support.messy_event import MessyEvent
from tests.support.tours import NOT_ON_THE_TOUR, Told, pages, tours


@pytest.fixture
def messy(app: Flask, world: World, api: Api, monkeypatch: pytest.MonkeyPatch) -> MessyEvent:
    monkeypatch.setattr(app.jinja_env, "undefined", Told)
    return messy_event.build(app, world, api)


def test_every_page_opens_for_everyone_on_a_messy_event(messy: MessyEvent) -> None:
    assert set(messy.world.statuses().values()) == {"indexed", "failed", "uploaded", "replaced"}
    opened = tours(messy, "en")
    messy.world.work()
    messy.press("owner", "/settings/close")
    closed = tours(messy, "fr")
    faults = [fault for tour in (*opened.values(), *closed.values()) for fault in tour.faults]
    assert not faults, "\n".join(faults)
    visited = set().union(*(tour.visited for tour in opened.values()))
    assert visited & set(NOT_ON_THE_TOUR) == set(), "these are linked to after all"
    assert pages(messy.app) - visited == set(), "nobody came to these pages"
