"""An event as it looks at the end of a long evening: much of everything, made by what people do."""

import io
from dataclasses import dataclass

from flask import Flask
from PIL import ExifTags, Image, ImageFilter
from sqlalchemy import select

from tests.support import faces
from tests.support.actors import PASSWORD, Api, World, demo_photos, photos_with, photos_without, selfie
from tests.support.browsing import Browser
from tests.support.crowd import event_of, user_of
from tests.support.reindexing import reexported
from webapp.db.extensions import db
from webapp.models import Camera, Invitation, LinkPurpose, Person, Photo, RenditionKind, User, UserRole
from webapp.pictures import imaging
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.core import alarms, blobs
from webapp.services.events import invitations
from webapp.services.joining import enrolment, ready_mails
from webapp.services.uploads import upload_tokens

OWNER, SECOND, ADMIN = "photographer@example.com", "second@example.com", "admin@example.com"
LONG_NAME = "Anne-Sophie-Friederike von und zu Hohenlohe-Waldenburg-Schillingsfürst & Söhne"
LONG_FILE = f"{'Hochzeit_am_See_' * 12}<final>_{{0}}.jpg"
SURE = 0.985
"""High enough that some of the guests' photos are asked about."""


@dataclass
class MessyEvent:
    """An event with two cameras, two uploaders, odd files, guests in every state, and everyone's browser."""

    app: Flask
    world: World
    event_id: str
    people: dict[str, Browser]
    """Browsers by role; all but that of `nobody` are signed in."""
    links: list[str]
    """Addresses that only mails name."""

    @property
    def path(self) -> str:
        return f"/studio/events/{self.event_id}"

    def press(self, who: str, path: str, page: str = "", **data: object) -> None:
        """Send a form of the event's pages."""
        answer = self.people[who].submit(f"{self.path}{path}", dict(data), page=page or "/")
        assert answer.status_code == 303, answer.text


def build(app: Flask, world: World, api: Api) -> MessyEvent:
    """Make the event; a few of its photos still wait for a worker."""
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"sure_threshold": SURE})
    event_id = world.event()
    world.event("EMPTY234")
    for email, role in ((SECOND, UserRole.PHOTOGRAPHER), (ADMIN, UserRole.ADMIN)):
        world.person(email, role)
    logins = {"owner": OWNER, "team": SECOND, "admin": ADMIN}
    people = {who: Browser(app).sign_in(login, PASSWORD) for who, login in logins.items()}
    messy = MessyEvent(app, world, event_id, people | {"nobody": Browser(app)}, [])
    _name(messy)
    messy.press("owner", "/team", email=SECOND)
    _add_photos(messy)
    world.work()
    _add_guests(messy, api)
    world.work()
    _lose_an_original(messy)
    _decide(messy)
    _add_links(messy)
    _hand_in(messy, "owner", *[(f"late_{name}", content + b"late") for name, content in demo_photos(2)])
    return messy


def _name(messy: MessyEvent) -> None:
    with messy.app.app_context(), unit_of_work():
        event = event_of(messy.event_id)
        event.name, event.place = f"{LONG_NAME} <i>– 50 % off</i>", 'Schloss <Hohenlohe> "am" See\'s Ufer'
        event.accent, event.timezone = "#1f5f8a", "Asia/Kathmandu"


def _hand_in(messy: MessyEvent, who: str, *files: tuple[str, bytes]) -> None:
    path = f"{messy.path}/photos"
    streams = [(io.BytesIO(content), name) for name, content in files]
    answer = messy.people[who].submit(path, {"files": streams}, page="/")
    assert answer.status_code == 200, answer.text


def _add_photos(messy: MessyEvent) -> None:
    """Photos of two cameras by two people, and what else people find on their cards."""
    found = photos_with("grace", 2) + photos_without("grace", 3)
    whole = demo_photos(1)[0][1]
    _hand_in(messy, "owner", *found, (LONG_FILE.format(1), whole + b"renamed"))
    # No picture, nothing at all, a picture that breaks off, and one that is in already.
    refused = [("notes.jpg", b"no picture"), ("empty.jpg", b""), ("half.jpg", whole[: len(whole) // 2]), found[0]]
    _hand_in(messy, "owner", *refused, (LONG_FILE.format(2), b"neither"))
    # More than the overview has room for.
    _hand_in(messy, "owner", *[(f"report-{number}.jpg", b"no picture %d" % number) for number in range(11)])
    _hand_in(messy, "team", *_shot_twice(1), *_shot_twice(2), _upright(), *_heic())


def _shot_twice(number: int) -> list[tuple[str, bytes]]:
    """Two exports of a frame of a camera whose maker wrote odd text."""
    content = photos_with("grace", 3 + number)[2 + number][1]
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Fujifilm <b>", "X-T5 & co"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2026:06:20 18:30:0{number}"
    return [
        (f"DSCF000{number}{end}.jpg", _saved(picture, exif=exif))
        for end, picture in (("", content), ("-edit", reexported(content)))
    ]


def _saved(content: bytes, file_format: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(target, file_format, **options)
    return target.getvalue()


def _upright() -> tuple[str, bytes]:
    """A picture without EXIF, in another format."""
    target = io.BytesIO()
    Image.fromarray(faces.cat()).save(target, "PNG")
    return "cat.png", target.getvalue()


def _heic() -> list[tuple[str, bytes]]:
    """A phone's photo where its format can be read and written here; else one that is refused."""
    if not imaging.HEIC:
        return [("IMG_0001.HEIC", b"\0\0\0\x18ftypheic" + b"\0" * 100)]
    return [("IMG_0001.HEIC", _saved(photos_with("eileen", 4)[3][1], "HEIF"))]


def _add_guests(messy: MessyEvent, api: Api) -> None:
    """Add a guest in each state.

    Found, asked, refused, refused after one that was good, without selfie, without address, withdrawn, stopped after
    the selfies of several people, waiting to be admitted, turned away.
    """
    code, made = messy.world.code, {}
    for name in ("found", "refused", "second_try", "bare", "withdrawn", "other", "several"):
        made[name] = api.register(code, name)
    with messy.app.app_context(), unit_of_work():
        user_of("other@example.com").name = LONG_NAME[:80]
    good = {"found": "grace", "second_try": "eileen", "withdrawn": "eileen", "other": "grace"}
    for name, person in good.items():
        assert made[name].upload_selfie(selfie(person)).status_code == 200
    messy.world.work()
    for name in ("refused", "second_try"):
        made[name].upload_selfie(_blurred())
    assert made["withdrawn"].delete(f"/my-selfie?event_id={messy.event_id}").status_code == 200
    for person in ("grace", "eileen", "grace"):
        assert made["several"].upload_selfie(selfie(person), source="file").status_code == 200
        messy.world.work()
    _join_without(messy)
    messy.press("owner", "/settings/joining", admits="y", join_days="14")
    for name in ("waiting", "waiting_too", "turned_away"):
        made[name] = api.register(code, name)
        assert made[name].upload_selfie(selfie("eileen")).status_code == 200
    with messy.app.app_context():
        turned_away = db.session.scalars(select(Person.public_id).where(Person.name == "turned_away")).one()
    messy.press("owner", f"/guests/{turned_away}/refuse")
    for name in made:
        messy.people[name] = Browser(messy.app).sign_in(name, PASSWORD)
    _join_twice(messy, api)


def _join_without(messy: MessyEvent) -> None:
    """A guest without an address or a selfie, with a message to the photographer."""
    messy.people["without"] = Browser(messy.app)
    form = {"name": f"<i>{LONG_NAME[:70]}", "keep_here": "y", "without": "y", "note": "Blue <b>hat</b> & 50 % taller"}
    answer = messy.people["without"].submit(f"/e/{messy.world.code}", form)
    assert answer.status_code == 303, answer.text


def _join_twice(messy: MessyEvent, api: Api) -> None:
    """A guest who has proven their address, with which somebody joined on another device as well."""
    again = {"username": "found_again", "email": "found@example.com", "password": PASSWORD}
    answer = api.post("/register-with-event-code", json={"user_data": again, "event_code": messy.world.code})
    assert answer.status_code == 201, answer.text
    with messy.app.app_context(), unit_of_work():
        first = db.session.scalars(select(User).where(User.username == "found")).one()
        token = sign_in_links.new_token(first)
    assert messy.people["found"].submit(f"/sign-in/{token}").headers["Location"] == "/account/others"


def _blurred() -> bytes:
    """A selfie that is refused."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(selfie("grace"))) as image:
        image.filter(ImageFilter.GaussianBlur(60)).save(target, "JPEG")
    return target.getvalue()


def _lose_an_original(messy: MessyEvent) -> None:
    """A photo that fails for good, since its file is gone from the store, and an alarm that the store raised."""
    _hand_in(messy, "owner", ("lost.jpg", photos_with("eileen", 6)[5][1]))
    with messy.app.app_context():
        alarms.raise_alarm("storage_rights", "GetObject: AccessDenied")
        photo = db.session.scalars(select(Photo).where(Photo.filename == "lost.jpg")).one()
        original = next(row for row in photo.renditions if row.kind is RenditionKind.ORIGINAL)
        blobs.store().delete(original.blob_key)
    messy.world.work()


def _decide(messy: MessyEvent) -> None:
    """What the photographer did to some photos, and to one camera's clock."""
    with messy.app.app_context():
        photos = db.session.scalars(select(Photo.public_id).order_by(Photo.id)).all()
        camera = db.session.scalars(select(Camera.public_id).order_by(Camera.id)).first()
        again = db.session.scalars(select(Photo.public_id).where(Photo.same_shot_as_id.is_not(None))).first()
    messy.press("owner", f"/photos/{again}/same-shot", decision="replace")
    for action, photo_id in (("hide", photos[0]), ("share", photos[1]), ("unpublish", photos[2])):
        data = {"action": action, "ids": photo_id, "confirmed": "1"}
        answer = messy.people["owner"].submit(f"{messy.path}/photos/actions", data, page="/")
        assert answer.status_code in (200, 303), answer.text
    messy.press("owner", f"/cameras/{camera}", hours="1", minutes="0", seconds="7", way="behind")
    cover = io.BytesIO(_upright()[1])
    messy.press("owner", "/settings/cover", file=(cover, "cover.png"))


def _add_links(messy: MessyEvent) -> None:
    """Tokens, and the links that stand in mails: a sign-in, an invitation to a team, one of a photographer."""
    messy.press("owner", "/team", email="newcomer@example.com")
    assert messy.people["admin"].submit("/admin/people", {"email": "new@example.com"}).status_code == 303
    messy.world.work()  # each mail that goes out renews its link
    with messy.app.app_context():
        event = event_of(messy.event_id)
        with unit_of_work():
            upload_tokens.create(event, user_of(OWNER), LONG_NAME[:60])
        tokens = []
        for public_id in db.session.scalars(select(Invitation.public_id)).all():
            with unit_of_work():
                renewed = invitations.renew_token(public_id)
            tokens += [f"/invitations/{renewed[1]}"] if renewed else []
        with unit_of_work():
            bare = user_of("bare@example.com")
            tokens.append(f"/sign-in/{sign_in_links.new_token(bare)}")
            tokens.append(f"/password/{sign_in_links.new_token(bare, purpose=LinkPurpose.PASSWORD)}")
            membership = enrolment.membership_of(
                event, db.session.scalars(select(User).where(User.username == "found")).one()
            )
            assert membership is not None
            ready_mails.choose(membership, wants=True)
            tokens += [f"/mails/stop/{ready_mails.stop_token(membership)}", f"/e/{messy.world.code}/back"]
        messy.links += tokens
