"""Lists in pages: each row once, in order, whatever comes in meanwhile."""

from datetime import UTC, datetime
from itertools import chain

import pytest
from sqlalchemy import update

from tests.support.actors import Api, World, demo_photos, photos_with, selfie
from webapp.db.extensions import db
from webapp.models import Band, Match, Photo

pytestmark = pytest.mark.both_databases


def pages(api: Api, path: str) -> list[list[str]]:
    """The ids on each page, following the Link headers to the end."""
    found = []
    following: str | None = path
    while following is not None:
        answer = api.get(following)
        assert answer.status_code == 200
        found.append([row["id"] for row in answer.json])
        link = answer.headers.get("Link")
        assert link is None or link.endswith('>; rel="next"')
        following = link[1 : link.index(">")].removeprefix("/api") if link else None
    return found


@pytest.fixture
def guest(api: Api, world: World) -> Api:
    """Somebody who is on five photos, three of them taken at the same moment."""
    world.add_photos(world.event(), *photos_with("grace", 5))
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    with api.app.app_context():
        db.session.execute(update(Photo).values(shown_to_all=True))
        same = update(Photo).where(Photo.id.in_((1, 2, 3)))
        db.session.execute(same.values(sorted_at=datetime(2026, 6, 20, 18, 30, 15, 123456, tzinfo=UTC)))
        db.session.commit()
    return guest


def test_photos_come_in_pages_without_gap_or_repetition(guest: Api) -> None:
    for name in ("my-photos", "all-photos"):
        (whole,) = pages(guest, f"/{name}")
        assert len(whole) == len(set(whole)) == 5
        for limit in (1, 2, 5):
            parts = pages(guest, f"/{name}?limit={limit}")
            assert [len(part) for part in parts] == [limit] * (5 // limit) + [5 % limit] * bool(5 % limit)
            assert [*chain.from_iterable(parts)] == whole


def test_questions_come_in_pages(guest: Api) -> None:
    with guest.app.app_context():
        db.session.execute(update(Match).values(band=Band.MAYBE))
        db.session.commit()
    (whole,) = pages(guest, "/my-photos?band=maybe")
    assert len(whole) == 5
    assert [*chain.from_iterable(pages(guest, "/my-photos?band=maybe&limit=2"))] == whole
    assert pages(guest, "/my-photos") == [[]]


def test_the_studios_photos_come_in_pages_while_more_are_handed_in(api: Api, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *demo_photos(5))
    owner = api.login("photographer@example.com")
    path = f"/photographer/events/{event_id}/photos"
    (whole,) = pages(owner, path)
    first = owner.get(f"{path}?limit=2")
    world.add_photos(event_id, *demo_photos(7)[5:])
    rest = pages(owner, first.headers["Link"][1:].partition(">")[0].removeprefix("/api"))
    assert [row["id"] for row in first.json] + [*chain.from_iterable(rest)] == whole
    assert len(owner.get(f"{path}?status=uploaded").json) == 7
    assert owner.get(f"{path}?status=indexed").json == []


def test_when_an_event_ends_and_what_ends_with_it(guest: Api) -> None:
    answer = guest.get("/user/event-expiration")
    assert answer.json == {"expires_at": None, "seconds_left": None, "photos": 5}
    named = guest.get("/user/events").json[0]["id"]
    assert guest.get(f"/user/event-expiration?event_id={named}").json == answer.json
    assert guest.get("/user/event-expiration?event_id=nothing").json["code"] == "not_found"
