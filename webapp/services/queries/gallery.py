"""What a guest sees: how the search goes, their photos, and the faces they are asked about."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import (
    Admission,
    Band,
    Event,
    Face,
    Match,
    Membership,
    Person,
    Photo,
    PhotoStatus,
    Rendition,
    RenditionKind,
    Selfie,
    SelfieStatus,
    User,
)
from webapp.pictures import imaging
from webapp.services.core import blobs
from webapp.services.rules.visibility import is_out, is_question, is_theirs, shows_face
from webapp.services.strangers.search_stops import Stop, code_of, stop_of

PAGE = 60


@dataclass(frozen=True, slots=True)
class Progress:
    """The truth about a person's search, counted from rows.

    `selfie` is the newest one handed in, whatever became of it; `searched_with` is the one that is searched with, which
    stays until a newer one is accepted.
    """

    selfie: Selfie | None
    searched_with: Selfie | None
    photos_total: int
    photos_indexed: int
    found: int
    maybe: int
    matching: bool
    """The person's matches are waiting to be computed."""
    failed: bool
    failure: str | None
    """Why the last computation gave up."""
    admission: Admission
    """Before the photographer has admitted a guest, nothing looks for a face in what they handed in."""
    stop: Stop | None = None
    """The photographer decides, or has decided, whether the person is searched for at all."""

    @property
    def shown(self) -> tuple[object, ...]:
        """All that a page says of it, in plain values."""
        selfies = [(row.public_id, row.status.value, row.reason) for row in (self.selfie, self.searched_with) if row]
        counts = (self.photos_total, self.photos_indexed, self.found, self.maybe)
        state = (self.matching, self.failed, self.failure, self.admission, self.stop)
        return (selfies, *counts, *state)

    @property
    def checking(self) -> bool:
        """The newest selfie is not judged yet."""
        unchecked = self.selfie is not None and self.selfie.status in (SelfieStatus.RECEIVED, SelfieStatus.CHECKING)
        return unchecked and self.admission is Admission.ADMITTED

    @property
    def refused(self) -> bool:
        """The newest selfie can't be used; its reason says why."""
        return self.selfie is not None and self.selfie.status is SelfieStatus.REJECTED

    @property
    def reason(self) -> str | None:
        """Why the newest selfie can't be used, or why the search ended without an outcome, or does not go on."""
        if self.admission is not Admission.ADMITTED:
            return "admission_waiting" if self.admission is Admission.WAITING else "not_admitted"
        if self.stop is not None:
            return code_of(self.stop)
        if self.selfie is not None and self.selfie.status in (SelfieStatus.REJECTED, SelfieStatus.FAILED):
            return self.selfie.reason
        return self.failure

    @property
    def stopped(self) -> bool:
        """The event may make no more calls to a service: what waits goes on once its limit is raised."""
        return self.reason == "call_limit"

    @property
    def searching(self) -> bool:
        """There is a face to search with, and photos or matches that are still worked on."""
        if self.admission is not Admission.ADMITTED or self.stop is not None:
            return False
        return self.searched_with is not None and (self.matching or self.photos_indexed < self.photos_total)

    @property
    def busy(self) -> bool:
        """Something will change soon by itself."""
        return self.checking or self.searching

    @property
    def status(self) -> str:
        """One word for programs: idle, queued, running, done, rejected, failed, waiting, not_admitted or stopped."""
        if self.admission is Admission.REFUSED:
            return "not_admitted"
        if self.stop is not None:
            return "stopped"
        if self.selfie is None:
            return "idle"
        if self.admission is Admission.WAITING:
            return "waiting"
        if self.selfie.status is SelfieStatus.RECEIVED:
            return "queued"
        if self.checking:
            return "running"
        if self.refused:
            return "rejected"
        if self.selfie.status is SelfieStatus.FAILED or self.failed:
            return "failed"
        return "running" if self.searching else "done"


@dataclass(frozen=True, slots=True)
class PhotoCard:
    """One photo in a gallery. width and height are the upright original's, for the layout."""

    public_id: str
    width: int
    height: int
    placeholder: str | None
    taken_at: datetime | None
    sorted_at: datetime
    match_id: str | None = None
    similarity: float | None = None
    band: Band | None = None
    row_id: int = 0
    version: str | None = None
    """See Photo.version."""

    @property
    def shown(self) -> tuple[object, ...]:
        """All of it that a page shows, in plain values; the placeholder comes with the size."""
        return (self.public_id, self.width, self.height, self.taken_at, self.version)


@dataclass(frozen=True, slots=True)
class Question:
    """A face that may be the guest's: only its crop is shown until they say yes."""

    match_id: str
    similarity: float
    row_id: int = 0


def progress_of(membership: Membership, person: Person) -> Progress:
    """How this person's search goes; at most five queries."""
    newest, current = _selfies(person)
    # After the selfie, whose verdict asks for matches in its own transaction: read before it, as it was loaded with the
    # membership, the person could look as if nothing were asked for any more, and we would say too soon that nothing
    # was found.
    db.session.refresh(person, ["match_wanted", "match_done", "match_failed", "match_failure"])
    total, indexed = photo_progress(membership.event_id)
    found, maybe = _match_counts(person)
    return Progress(
        selfie=newest,
        searched_with=current,
        photos_total=total,
        photos_indexed=indexed,
        found=found,
        maybe=maybe,
        matching=person.match_wanted != person.match_done and not person.match_failed,
        failed=person.match_failed,
        failure=person.match_failure if person.match_failed else None,
        admission=membership.admission,
        stop=stop_of(membership),
    )


def photo_progress(event_id: int) -> tuple[int, int]:
    """Photos that will be searched, and those that are: published and not hidden, without what failed for good."""
    waiting = Photo.status.in_((PhotoStatus.UPLOADED, PhotoStatus.INDEXING, PhotoStatus.INDEXED))
    total, indexed = db.session.execute(
        select(func.count(), func.coalesce(func.sum(case((Photo.status == PhotoStatus.INDEXED, 1), else_=0)), 0)).where(
            Photo.event_id == event_id, waiting, Photo.published_at.is_not(None), Photo.hidden_at.is_(None)
        )
    ).one()
    return total, indexed


def my_photos(
    person: Person, *, limit: int | None = None, after: tuple[datetime, int] | None = None
) -> list[PhotoCard]:
    """The photos that are this person's, newest first. `after` is (sorted_at, row_id) of the last card of a page."""
    mine = is_theirs(person.membership.event)
    best = (
        select(Match.photo_id, func.max(Match.similarity).label("similarity"), func.min(Match.id).label("match_id"))
        .where(Match.person_id == person.id, mine)
        .group_by(Match.photo_id)
        .subquery()
    )
    wanted = (
        select(Photo, Match, best.c.similarity)
        .join(best, best.c.photo_id == Photo.id)
        .join(Match, Match.id == best.c.match_id)
        .where(is_out())
        .order_by(Photo.sorted_at.desc(), Photo.id.desc())
    )
    if after is not None:
        wanted = wanted.where(_behind(*after))
    rows = db.session.execute(wanted.limit(limit) if limit else wanted).all()
    return [
        card(photo, match_id=match.public_id, similarity=similarity, band=match.band)
        for photo, match, similarity in rows
    ]


def shown_to_all(
    event: Event, *, limit: int | None = None, after: tuple[datetime, int] | None = None
) -> list[PhotoCard]:
    """Photos that the photographer shows to every guest, newest first."""
    wanted = (
        select(Photo)
        .where(Photo.event_id == event.id, Photo.shown_to_all.is_(True), is_out())
        .order_by(Photo.sorted_at.desc(), Photo.id.desc())
    )
    if after is not None:
        wanted = wanted.where(_behind(*after))
    return [card(photo) for photo in db.session.scalars(wanted.limit(limit) if limit else wanted)]


@dataclass(frozen=True, slots=True)
class SharedPhoto:
    """A photo that every guest is shown, and where it stands among the others."""

    photo: PhotoCard
    position: int
    """From 1, the newest."""
    total: int
    previous: str | None
    """Public id."""
    next: str | None


def shared_photo(event: Event, public_id: str) -> SharedPhoto:
    """Return one of the photos that every guest of the event is shown.

    Raises:
        NotFound: there is none with this id.
    """
    shown = and_(Photo.event_id == event.id, Photo.shown_to_all.is_(True), is_out())
    photo = db.session.scalar(select(Photo).where(shown, Photo.public_id == public_id))
    if photo is None:
        raise NotFound(code="photo_unknown")
    newer = or_(Photo.sorted_at > photo.sorted_at, and_(Photo.sorted_at == photo.sorted_at, Photo.id > photo.id))
    before = select(Photo.public_id).where(shown, newer).order_by(Photo.sorted_at, Photo.id).limit(1)
    behind = shown_to_all(event, limit=1, after=(photo.sorted_at, photo.id))
    count = select(func.count()).select_from(Photo)
    return SharedPhoto(
        photo=card(photo),
        position=(db.session.scalar(count.where(shown, newer)) or 0) + 1,
        total=db.session.scalar(count.where(shown)) or 0,
        previous=db.session.scalar(before),
        next=behind[0].public_id if behind else None,
    )


def shares_photos(event: Event) -> bool:
    """Return True where every guest of the event is shown some photos."""
    shown = exists().where(Photo.event_id == event.id, Photo.shown_to_all.is_(True), is_out())
    return bool(db.session.scalar(select(shown)))


def questions(person: Person, *, limit: int | None = None, after: int | None = None) -> list[Question]:
    """Faces that may be this person's, the likeliest first (with `after`: in the order of their rows)."""
    wanted = (
        select(Match)
        .join(Photo, Photo.id == Match.photo_id)
        .where(Match.person_id == person.id, is_question(person.membership.event), is_out())
    )
    wanted = wanted.where(Match.id > after) if after is not None else wanted
    wanted = wanted.order_by(Match.id) if limit else wanted.order_by(Match.similarity.desc(), Match.id)
    rows = db.session.scalars(wanted.limit(limit) if limit else wanted)
    return [Question(row.public_id, row.similarity, row.id) for row in rows]


def crop_of(user: User, match_public_id: str) -> bytes:
    """The face of one of the user's matches, as JPEG: the only thing that a maybe shows.

    Raises:
        NotFound: no such match, or nothing of it may be shown.
    """
    row = db.session.execute(
        select(Face, Rendition)
        .join(Match, Match.face_id == Face.id)
        .join(Person, Person.id == Match.person_id)
        .join(Membership, Membership.id == Person.membership_id)
        .join(Photo, Photo.id == Face.photo_id)
        .join(Rendition, and_(Rendition.photo_id == Photo.id, Rendition.kind == RenditionKind.PREVIEW))
        .where(
            Match.public_id == match_public_id,
            Membership.user_id == user.id,
            shows_face(),
            is_out(),
        )
    ).one_or_none()
    if row is None:
        raise NotFound(code="match_unknown")
    face, preview = row
    box, key = (face.box_x, face.box_y, face.box_width, face.box_height), preview.blob_key
    db.session.rollback()
    with blobs.store().open(key) as stream:
        frame = imaging.decode(stream, max_megapixels=10).frame
    return imaging.face_crop(frame, *box).content


def card(
    photo: Photo, match_id: str | None = None, similarity: float | None = None, band: Band | None = None
) -> PhotoCard:
    """A photo as galleries show it."""
    return PhotoCard(
        public_id=photo.public_id,
        width=photo.width or 3,
        height=photo.height or 2,
        placeholder=photo.placeholder,
        taken_at=photo.taken_at,
        sorted_at=photo.sorted_at,
        match_id=match_id,
        similarity=similarity,
        band=band,
        row_id=photo.id,
        version=photo.version,
    )


def _behind(sorted_at: datetime, row_id: int) -> ColumnElement[bool]:
    return or_(Photo.sorted_at < sorted_at, and_(Photo.sorted_at == sorted_at, Photo.id < row_id))


def _selfies(person: Person) -> tuple[Selfie | None, Selfie | None]:
    """The newest selfie, and the newest one that is searched with."""
    latest = select(Selfie).where(Selfie.person_id == person.id, Selfie.retired_at.is_(None)).order_by(Selfie.id.desc())
    newest = db.session.scalar(latest.limit(1))
    if newest is None or newest.status is SelfieStatus.ACCEPTED:
        return newest, newest
    return newest, db.session.scalar(latest.where(Selfie.status == SelfieStatus.ACCEPTED).limit(1))


def photos_found(person: Person) -> int:
    """How many photos are this person's."""
    return _match_counts(person)[0]


def _match_counts(person: Person) -> tuple[int, int]:
    event = person.membership.event
    found, maybe = db.session.execute(
        select(
            func.count(func.distinct(case((is_theirs(event), Match.photo_id)))),
            func.coalesce(func.sum(case((is_question(event), 1), else_=0)), 0),
        )
        .join(Photo, Photo.id == Match.photo_id)
        .where(Match.person_id == person.id, is_out())
    ).one()
    return found, maybe
