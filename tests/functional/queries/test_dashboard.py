"""An event at a glance: counts, what went wrong, rematches and their reports, guests, and what charts show."""

from datetime import timedelta
from itertools import pairwise

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, World
from tests.support.browsing import HTMX, Browser, text
from tests.support.crowd import add_guest, add_person, add_photo, event_of, user_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Match, Photo, PhotoStatus, Selfie, SelfieStatus, Upload, UploadStatus, UploadWay, UserRole
from webapp.queueing import unit_of_work
from webapp.services.core import rematch_requests
from webapp.services.events import timezones
from webapp.services.matching import matching, rematches
from webapp.services.queries import guest_list, problems, timeline
from webapp.services.queries.timeline import HOUR, MINUTE
from webapp.services.uploads import upload_ledger

pytestmark = pytest.mark.both_databases

OWNER = "photographer@example.com"


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


@pytest.fixture
def owner(app: Flask, event_id: str) -> Browser:
    return Browser(app).sign_in(OWNER, PASSWORD)


def page(owner: Browser, event_id: str, rest: str = "") -> str:
    answer = owner.get(f"/studio/events/{event_id}{rest}")
    assert answer.status_code == 200, answer.text
    return text(answer)


def part(seen: str, element: str, end: str = "</section>") -> str:
    """What stands in the page from an element's id on."""
    assert f'id="{element}"' in seen, element
    return seen.partition(f'id="{element}"')[2].partition(end)[0]


def test_an_empty_event_says_so_everywhere(owner: Browser, event_id: str) -> None:
    seen = page(owner, event_id)
    assert "No photos yet" in seen and "Nobody has joined yet" in seen
    assert 'id="trouble"' not in seen and 'id="rematch"' not in seen and 'id="approval-notice"' not in seen
    assert "Nobody has joined yet" in page(owner, event_id, "/guests")


def test_counts_are_those_of_the_rows(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        found, lonely = add_guest(event, "found@example.com"), add_guest(event, "lonely@example.com")
        add_photo(event, 1, [found])
        add_photo(event, 2, []).byte_size = 2_500_000_000
        assert lonely.id
    seen = page(owner, event_id)
    figures = part(seen, "live", "</dl>")
    assert list(_figures(figures).values()) == ["2", "2", "1", "1", "1"]
    assert "2.5 GB" in part(seen, "originals", "</div>")
    assert "Accepted <b>2</b>" in part(seen, "selfie-states", "</div>")


def _figures(html: str) -> dict[str, str]:
    rows = html.split("<dt>")[1:]
    return {row.partition("</dt>")[0]: row.partition("<dd>")[2].partition("</dd>")[0] for row in rows}


def test_the_time_left_follows_from_what_was_indexed_lately(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event, now = event_of(event_id), utcnow()
        for number in range(13):
            add_photo(event, number, []).indexed_at = now - timedelta(seconds=10 * number)
        for number in range(20, 44):
            add_photo(event, number, []).status = PhotoStatus.UPLOADED
    # 12 in two minutes: 24 more take about four.
    assert "about 4 min left" in page(owner, event_id) or "about 5 min left" in page(owner, event_id)


def test_no_time_is_named_and_a_standstill_is_when_nothing_moves(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event, before = event_of(event_id), utcnow() - timedelta(hours=1)
        event.created_at = before
        for number in range(5):
            photo = add_photo(event, number, [])
            photo.created_at = photo.indexed_at = before
        add_photo(event, 9, []).status = PhotoStatus.UPLOADED
        db.session.flush()
        for photo in db.session.scalars(select(Photo)):
            photo.created_at = before
    seen = page(owner, event_id)
    assert "min left" not in seen and "Nothing is lost" in part(seen, "stalled", "</p>")


def test_what_went_wrong_is_said_and_can_be_tried_again(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        for number in (1, 2):
            photo = add_photo(event, number, [])
            photo.status, photo.failure_reason = PhotoStatus.FAILED, "crashed"
        guest = add_guest(event, "eve@example.com")
        selfie = db.session.scalars(select(Selfie).where(Selfie.person_id == guest.id)).one()
        selfie.status, selfie.reason = SelfieStatus.FAILED, "crashed"
    trouble = part(page(owner, event_id), "trouble")
    assert "2 photos failed" in trouble and "1.jpg" in trouble and "eve" in trouble
    overview = f"/studio/events/{event_id}"
    assert owner.submit(f"{overview}/retry?photo=photo-1", page=overview).status_code == 303
    assert "1 photo failed" in part(page(owner, event_id), "trouble")
    answer = owner.submit(f"{overview}/retry", page=overview, htmx=True)
    assert answer.status_code == 200 and "photo failed" not in text(answer)
    assert owner.submit(f"{overview}/guests/retry", page=overview).status_code == 303
    assert 'id="trouble"' not in page(owner, event_id)
    with app.app_context():
        assert db.session.scalars(select(Selfie.status)).one() is SelfieStatus.RECEIVED


def test_a_file_that_came_in_later_is_no_trouble_any_more(app: Flask, owner: Browser, event_id: str) -> None:
    def ledger(filename: str, status: UploadStatus, reason: str | None = None) -> None:
        with app.app_context(), unit_of_work():
            row = Upload(event_id=event_of(event_id).id, filename=filename, way=UploadWay.TUS, status=status)
            row.reason = reason
            db.session.add(row)

    ledger("a.jpg", UploadStatus.INTERRUPTED)
    ledger("b.jpg", UploadStatus.REJECTED, "not_a_picture")
    trouble = part(page(owner, event_id), "trouble")
    assert "a.jpg" in trouble and "b.jpg" in trouble and "not a picture" in trouble
    ledger("a.jpg", UploadStatus.ACCEPTED)
    trouble = part(page(owner, event_id), "trouble")
    assert "a.jpg" not in trouble and "b.jpg" in trouble


def test_a_lost_file_is_told_of_whatever_else_was_mended(app: Flask, world: World, event_id: str) -> None:
    other = world.person("second@example.com", UserRole.PHOTOGRAPHER)

    def ledger(filename: str, status: UploadStatus, *, by: str = OWNER, size: int = 9) -> None:
        with app.app_context(), unit_of_work():
            row = Upload(event_id=event_of(event_id).id, filename=filename, way=UploadWay.TUS, status=status)
            row.user_id, row.byte_size = user_of(by).id, size
            db.session.add(row)

    def told() -> list[str]:
        with app.app_context():
            event = event_of(event_id)
            names = [row.filename for row in upload_ledger.trouble(event).rows]
            assert [name for name, _, _ in problems.trouble_of(event).uploads] == names
            return names

    ledger("lost.jpg", UploadStatus.INTERRUPTED)
    for status in (UploadStatus.INTERRUPTED, UploadStatus.ACCEPTED):
        for number in range(problems.MOST + 1):
            ledger(f"{number}.jpg", status)
    assert told() == ["lost.jpg"]
    # Cameras number alike: neither somebody else's file of this name is it, nor another card's.
    ledger("lost.jpg", UploadStatus.ACCEPTED, by=other)
    ledger("lost.jpg", UploadStatus.ACCEPTED, size=10)
    assert told() == ["lost.jpg"]
    ledger("lost.jpg", UploadStatus.DUPLICATE)
    assert told() == []
    # What could not be used is mended by another file of its name.
    ledger("bad.jpg", UploadStatus.REJECTED, size=3)
    ledger("bad.jpg", UploadStatus.ACCEPTED, by=other)
    assert told() == ["bad.jpg"]
    ledger("bad.jpg", UploadStatus.ACCEPTED)
    assert told() == []


def lose(app: Flask, event_id: str, filenames: list[str], status: UploadStatus) -> None:
    """Rows of the ledger, as if these files had been sent one after the other."""
    with app.app_context(), unit_of_work():
        for filename in filenames:
            row = Upload(event_id=event_of(event_id).id, filename=filename, way=UploadWay.TUS, status=status)
            row.user_id, row.byte_size = user_of(OWNER).id, 9
            db.session.add(row)
            db.session.flush()


def test_a_lost_file_is_listed_beneath_ten_newer_ones_that_came_in_later(
    app: Flask, owner: Browser, event_id: str
) -> None:
    lose(app, event_id, ["bad.jpg"], UploadStatus.REJECTED)
    mended = [f"mended-{number}.jpg" for number in range(problems.MOST)]
    lose(app, event_id, mended, UploadStatus.REJECTED)
    lose(app, event_id, mended, UploadStatus.ACCEPTED)
    trouble = part(page(owner, event_id), "trouble")
    assert "bad.jpg" in trouble and "mended-" not in trouble and "more file" not in trouble


def test_lost_files_that_the_overview_has_no_room_for_are_counted_and_found(
    app: Flask, owner: Browser, event_id: str
) -> None:
    lost = [f"lost-{number}." for number in range(upload_ledger.PAGE + 5)]
    lose(app, event_id, lost, UploadStatus.INTERRUPTED)
    lose(app, event_id, ["mended.jpg"], UploadStatus.REJECTED)
    lose(app, event_id, ["mended.jpg"], UploadStatus.ACCEPTED)
    trouble = part(page(owner, event_id), "trouble")
    assert trouble.count("lost-") == problems.MOST
    assert f"And {len(lost) - problems.MOST} more files" in trouble
    address = f"/studio/events/{event_id}/upload/lost"
    assert f'href="{address}"' in trouble
    assert "And 5 more files" in page(owner, event_id, "/upload")
    first = page(owner, event_id, "/upload/lost")
    assert f">{len(lost)}<" in part(first, "lost-title", "</h2>")
    further = first.partition('class="further" hx-get="')[2].partition('"')[0]
    second = owner.get(further, headers=HTMX).text
    assert "<html" not in second and "further" not in second
    listed = [name for name in lost if f'"name">{name}<' in first + second]
    assert listed == lost and "mended" not in first + second


def test_no_lost_file_is_said_as_such(owner: Browser, event_id: str) -> None:
    assert "No file is missing" in page(owner, event_id, "/upload/lost?before=nonsense")


def test_a_guest_with_many_failed_selfies_hides_no_other(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        for number in range(problems.MOST + 1):
            person = add_guest(event, f"single-{number}@example.com")
            db.session.scalars(select(Selfie).where(Selfie.person_id == person.id)).one().status = SelfieStatus.FAILED
        many = add_guest(event, "many@example.com")
        for number in range(problems.MOST):
            picture = {"blob_key": f"{number}.jpg", "content_type": "image/jpeg", "reason": "crashed"}
            db.session.add(Selfie(person_id=many.id, status=SelfieStatus.FAILED, **picture))
        mine = add_person(event, user_of(OWNER))
        mine.match_failed = True
    trouble = part(page(owner, event_id), "trouble")
    assert trouble.count('id="fault-') == problems.MOST and trouble.count(">many<") == 1
    # The owner is no guest: the list of guests has no page of them to lead to.
    assert "And 2 more guests" in trouble and "show=failed" in trouble and ">photographer<" not in trouble


def test_photos_that_wait_for_approval_are_counted(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        event.approval = True
        add_photo(event, 1, []).published_at = None
        add_photo(event, 2, [])
    notice = part(page(owner, event_id), "approval-notice", "</section>")
    assert "1 photo waits for your approval" in notice and "state=unpublished" in notice


def test_a_rematch_tells_how_far_it_is_and_what_it_changed(
    app: Flask, owner: Browser, event_id: str, world: World
) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        people = [add_guest(event, f"{name}@example.com") for name in ("ada", "bob")]
        add_photo(event, 1, people)
    with app.app_context(), unit_of_work():
        matching.request_rematch(event_of(event_id), user_of(OWNER))
    assert "begins in a moment" in part(page(owner, event_id), "rematch")
    with app.app_context():
        assert matching.rematch_event(event_id) == 2
    assert "0 of 2 people" in part(page(owner, event_id), "rematch")
    world.work("maintenance", limit=2)  # The first job has been carried out above: the second one is a person's.
    assert "1 of 2 people" in part(page(owner, event_id), "rematch")
    world.work()
    with app.app_context():
        done = rematches.of_event(event_of(event_id))
        # No face resembles anybody here: what carries no verdict goes, one confirmed match of each stays.
        assert not done.running and done.report is not None
        assert (done.report.people, done.report.pending) == (2, 0)
        assert (done.report.added, done.report.removed) == (0, 4)
        assert len(db.session.scalars(select(Match.id)).all()) == 2
    report = " ".join(part(page(owner, event_id), "rematch").split())
    assert "Searched again for 2 people" in report and "4 removed" in report


def test_later_searches_do_not_count_for_the_last_rematch(app: Flask, event_id: str, world: World) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        person = add_guest(event, "ada@example.com")
        matching.request_rematch(event, user_of(OWNER))
        key = person.id
    world.work()
    with app.app_context():
        before = rematches.of_event(event_of(event_id)).report
    with app.app_context(), unit_of_work():
        rematch_requests.mark([key])
    world.work()
    with app.app_context():
        assert rematches.of_event(event_of(event_id)).report == before is not None


def test_guests_are_searched_filtered_and_paged(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        for number in range(guest_list.PAGE + 2):
            add_guest(event, f"guest-{number}@example.com")
        found = add_guest(event, "100%@example.com")
        add_photo(event, 1, [found])
        refused = add_guest(event, "refused@example.com")
        selfie = db.session.scalars(select(Selfie).where(Selfie.person_id == refused.id)).one()
        selfie.status, selfie.reason = SelfieStatus.REJECTED, "blurred"
    first = owner.get(f"/studio/events/{event_id}/guests").text
    assert first.count('<li id="guest-') == guest_list.PAGE
    address = first.partition('hx-get="')[2].rpartition('class="further" hx-get="')[2].partition('"')[0]
    second = owner.get(address.replace("&amp;", "&"), headers=HTMX).text
    assert second.count('<li id="guest-') == 4 and "<html" not in second
    for query, count in (
        ("q=100%25", 1),
        ("q=REFUSED", 1),
        ("q=nobody", 0),
        ("show=refused", 1),
        ("show=found", 1),
    ):
        assert owner.get(f"/studio/events/{event_id}/guests?{query}").text.count('<li id="guest-') == count, query
    assert "The picture is blurred" in page(owner, event_id, "/guests?show=refused")


def test_a_guest_s_page_shows_each_of_their_photos_once(app: Flask, owner: Browser, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        person = add_guest(event, "ada@example.com")
        add_photo(event, 1, [person])
        add_photo(event, 2, [])
        public_id = person.public_id
    seen = page(owner, event_id, f"/guests/{public_id}")
    assert seen.count("/media/photos/photo-1/thumbnail") == 1 and "photo-2" not in seen
    assert "1 photo" in seen and "Found" in part(seen, "guest-photos", "</ul>")


def test_a_guest_of_another_event_is_not_there(app: Flask, world: World, owner: Browser, event_id: str) -> None:
    other = world.event("OTHER234", owner="rival@example.com")
    with app.app_context(), unit_of_work():
        public_id = add_guest(event_of(other), "ada@example.com").public_id
    assert owner.get(f"/studio/events/{event_id}/guests/{public_id}").status_code == 404


def test_charts_follow_the_clock_of_the_event_and_leave_no_gap(app: Flask, event_id: str) -> None:
    with app.app_context():
        event = event_of(event_id)
        event.timezone = "Asia/Kolkata"
        start = 1_750_000_000 // MINUTE
        made = timeline.chart(event, [[start, 2], [start + 300, 1]])
        assert made is not None and made.totals == (3,)
        moments = [moment for moment, _ in made.rows]
        assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(seconds=made.seconds)}
        assert made.seconds == 15 * MINUTE and len(made.rows) <= timeline.MOST_BARS
        days = timeline.chart(event, [[start, 1], [start + 2000, 1]])
        assert days is not None and days.seconds == HOUR
        assert {moment.astimezone(timezones.zone_of(event)).minute for moment, _ in days.rows} == {0}
        assert timeline.chart(event, [], []) is None


def test_a_poll_brings_the_charts_tables_and_figures_that_are_new(app: Flask, owner: Browser, event_id: str) -> None:
    first = page(owner, event_id)
    version = first.partition("live?v=")[2].partition('"')[0].partition("&")[0]
    with app.app_context(), unit_of_work():
        add_photo(event_of(event_id), 1, [add_guest(event_of(event_id), "ada@example.com")])
    moved = owner.get(f"/studio/events/{event_id}/live?v={version}", headers=HTMX)
    assert moved.status_code == 200
    assert part(moved.text, "arrivals-data", "</div>").count('data-count="1"') == 1
    assert 'hx-swap-oob="true"' in moved.text and "<canvas" not in moved.text
    assert list(_figures(part(text(moved), "live", "</dl>")).values()) == ["1", "1", "1", "0", "0"]
