"""The trial: which calls are made, in which order, and how everything that it made is deleted again."""

import io
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import redis
import structlog
from PIL import Image

from webapp.demo import compositions
from webapp.errors import FindMeError, MissingRights, NotFound, Transient
from webapp.faces.core.protocols import DetectedFace, Frame, Gallery, Hit, Keep, Probe, UserHit
from webapp.faces.rekognition import galleries, pictures
from webapp.faces.rekognition.analyzer import RekognitionAnalyzer
from webapp.faces.rekognition.client import OPERATIONS
from webapp.faces.rekognition.index import RekognitionIndex
from webapp.faces.rekognition.quotas import Buckets
from webapp.ops.try_rekognition.recording import Call, RecordingClient, TrialMeter
from webapp.pictures import crops
from webapp.settings import Settings

log = structlog.get_logger()

PERSON, STRANGER = "grace", "eileen"
PHOTOS = {PERSON: ("DSC_1059.jpg", "DSC_1125.jpg"), STRANGER: ("DSC_1053.jpg",)}
"""Photos of the demo event that show one person alone."""

USUAL_CALLS = 12
"""Billable calls of a trial in which everything works at the first attempt."""

ATTEMPTS = 3
"""Attempts of each call, the first included."""

REPEATS, PAUSE_SECONDS = 5, 2.0
"""How often a step is repeated while the service is still changing a user vector, which it does asynchronously."""

_NO_FACE = "00000000-0000-4000-8000-000000000000"
_NOBODY = "nobody"

ALONE: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "CreateCollection": {},
    "DescribeCollection": {},
    "DeleteCollection": {},
    "IndexFaces": {"Image": "photo", "ExternalImageId": "alone", "MaxFaces": 1},
    "ListFaces": {},
    "DeleteFaces": {"FaceIds": [_NO_FACE]},
    "SearchFaces": {"FaceId": _NO_FACE},
    "SearchFacesByImage": {"Image": "photo"},
    "CreateUser": {"UserId": _NOBODY},
    "DeleteUser": {"UserId": _NOBODY},
    "ListUsers": {},
    "AssociateFaces": {"UserId": _NOBODY, "FaceIds": [_NO_FACE]},
    "DisassociateFaces": {"UserId": _NOBODY, "FaceIds": [_NO_FACE]},
    "SearchUsersByImage": {"Image": "photo"},
})  # fmt: skip
"""Parameters with which an operation is called alone, when the steps before it failed: enough to learn whether it is
allowed. `Image` stands for a sample photo."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """What a search found, on Amazon's scale from 0 to 100; None: not among the answers."""

    operation: str
    same: float | None
    other: float | None


@dataclass
class Trial:
    """One run and its outcome."""

    name: str
    record: list[Call] = field(default_factory=list)
    billable: int = 0
    model: str = ""
    """FaceModelVersion of the collections; empty if none could be made."""
    searches: list[Similarity] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_complete: bool = False
    """Whether every operation was called, whatever the answers were."""
    deleted: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    """Collections that may still exist."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The pictures of a trial, decoded: (height, width, 3), RGB."""

    photos: Mapping[str, tuple[Frame, ...]]
    selfies: Mapping[str, Frame]


def draw_samples() -> Samples:
    """Draw the demo's faces.

    Raises:
        ConfigurationError: the wheels with the portraits are not installed; says how to install them.
    """
    photos = {person: tuple(_decoded(compositions.photo(file)) for file in files) for person, files in PHOTOS.items()}
    return Samples(photos, {person: _decoded(compositions.selfie(person)) for person in PHOTOS})


def run(settings: Settings, connection: redis.Redis, samples: Samples) -> Trial:
    """Make all calls, and delete all that they made, also after errors and Ctrl-C.

    connection: where the installation's quotas are kept, which hold for the trial as well.
    """
    trial = Trial(f"trial-{secrets.token_hex(4)}")
    meter = TrialMeter()
    client = RecordingClient(settings, meter, Buckets(settings, connection), attempts=ATTEMPTS)
    work = _Work(trial, client, samples)
    try:
        work.steps()
        work.call_the_rest()
        trial.is_complete = True
    except _HopelessError:
        pass
    except KeyboardInterrupt:
        trial.notes.append("Interrupted.")
    except Exception as error:
        log.exception("try_rekognition.failed")
        trial.notes.append(f"Stopped by an unexpected error: {type(error).__name__}.")
    try:
        work.clean_up()
    except KeyboardInterrupt:
        trial.notes.append("Interrupted while deleting.")
    trial.record, trial.billable = client.record, meter.calls.total()
    return trial


class _HopelessError(Exception):
    """Every further call would fail as the last one did."""


class _Work:
    """The steps of a trial. Each is tried whatever became of those before it."""

    def __init__(self, trial: Trial, client: RecordingClient, samples: Samples) -> None:
        self._trial, self._client, self._samples = trial, client, samples
        self._analyzer, self._index = RekognitionAnalyzer(client), RekognitionIndex(client)
        self._photos = Gallery(0, trial.name)
        self._guests = Gallery(0, trial.name, "guests")
        self._of_photos: dict[str, list[DetectedFace]] = {PERSON: [], STRANGER: []}
        self._of_guests: dict[str, list[DetectedFace]] = {PERSON: [], STRANGER: []}
        self._of_selfie: list[DetectedFace] = []
        self._has_users = False

    def steps(self) -> None:
        """Do with the sample faces what the product does with an event's."""
        for step in (
            self._make_collections, self._make_collections, self._index_photos, self._index_selfies,
            self._search_by_image, self._search_by_id, self._make_users, self._search_users,
            self._list, self._delete_faces, self._delete_user,
        ):  # fmt: skip
            with self._going_on():
                step()

    def call_the_rest(self) -> None:
        """Call each operation alone that no step reached, so that all missing rights show in one run."""
        tried = {call.operation for call in self._client.record}
        self._client.is_alone = True
        for operation in OPERATIONS:
            # Deleting the collection is what cleaning up does.
            if operation not in tried and operation != "DeleteCollection" and operation in ALONE:
                with self._going_on():
                    self._client.call(operation, self._trial.name, **self._parameters(operation))

    def clean_up(self) -> None:
        """Delete both collections, and note those that may still exist."""
        making = [call for call in self._client.record if call.operation == "CreateCollection"]
        made = {call.collection for call in making if call.succeeded}
        unanswered = {call.collection for call in making if _is_passing(call.error)} - made
        self._trial.left_behind = sorted(made | unanswered)
        is_hopeless = any(call.is_hopeless for call in self._client.record)
        for gallery in (self._photos, self._guests):
            name = galleries.name(gallery)
            # One that was not made is deleted as well: it shows whether that is allowed.
            if is_hopeless and name not in made | unanswered:
                continue
            if self._drop(gallery, must_exist=name not in made) and name in made | unanswered:
                self._trial.left_behind.remove(name)
                self._trial.deleted.append(name)

    def _drop(self, gallery: Gallery, *, must_exist: bool) -> bool:
        """Delete a collection; returns whether it is gone for good.

        must_exist: a request to make it may still be under way, so that its absence proves nothing.
        """
        try:
            self._repeat(partial(self._index.drop, gallery))
        except FindMeError:
            return False
        return not (must_exist and isinstance(self._client.record[-1].error, NotFound))

    def _make_collections(self) -> None:
        self._trial.model = self._index.prepare(self._photos)

    def _index_photos(self) -> None:
        for person, frames in self._samples.photos.items():
            for number, frame in enumerate(frames):
                keep = Keep(self._photos, f"{person}-{number}")
                self._of_photos[person] += self._analyzer.photo_faces(frame, keep)[:1]
        for person, found in self._of_photos.items():
            if len(found) < len(self._samples.photos[person]):
                self._trial.notes.append(f"No face was found in a photo of {person}.")

    def _index_selfies(self) -> None:
        for person, frame in self._samples.selfies.items():
            check = self._analyzer.check_selfie(frame, "front", Keep(self._guests, f"selfie-{person}"))
            if check.face is not None:
                self._of_guests[person].append(check.face)
                self._of_selfie += [check.face] if person == PERSON else []
            else:
                self._trial.notes.append(f"The sample selfie of {person} was refused: {check.reason}.")
        # A second face, as of a photo that its guest confirmed.
        keep = Keep(self._guests, f"confirmed-{PERSON}")
        self._of_guests[PERSON] += self._analyzer.photo_faces(self._samples.photos[PERSON][0], keep)[:1]

    def _search_by_image(self) -> None:
        selfie = _crop(self._samples.selfies[PERSON], self._of_selfie)
        self._compare("SearchFacesByImage", self._index.search(self._photos, [Probe(picture=selfie)], 0.0).hits)

    def _search_by_id(self) -> None:
        if self._of_photos[PERSON]:
            own = self._of_photos[PERSON][0].external_id
            self._compare("SearchFaces", self._index.search(self._photos, [Probe(key=own)], 0.0).hits)

    def _make_users(self) -> None:
        keys = {person: [str(face.external_id) for face in found] for person, found in self._of_guests.items()}
        for person in (PERSON, STRANGER):
            self._repeat(partial(self._index.make_user, self._guests, person, keys[person]))
        # One face less: the service takes it from the user.
        self._repeat(partial(self._index.make_user, self._guests, PERSON, keys[PERSON][:1]))
        self._has_users = bool(keys[PERSON])

    def _search_users(self) -> None:
        frames, found = self._samples.photos[PERSON], self._of_photos[PERSON]
        probe = Probe(picture=_crop(frames[-1], found[-1:] if len(found) == len(frames) else []))
        hits: list[UserHit] = []
        for number in range(REPEATS):
            hits = self._index.search_users(self._guests, probe, 0.0)
            if any(hit.user_id == PERSON for hit in hits) or not self._has_users or number == REPEATS - 1:
                break
            time.sleep(PAUSE_SECONDS)
        best = {hit.user_id: hit.similarity * 100 for hit in hits}
        self._trial.searches.append(Similarity("SearchUsersByImage", best.get(PERSON), best.get(STRANGER)))

    def _list(self) -> None:
        list(self._index.contents(self._photos))
        list(self._index.users(self._guests))

    def _delete_faces(self) -> None:
        self._index.remove(self._photos, [str(face.external_id) for face in self._of_photos[STRANGER]])

    def _delete_user(self) -> None:
        self._repeat(partial(self._index.remove_user, self._guests, STRANGER))

    def _compare(self, operation: str, hits: list[Hit]) -> None:
        best = {
            person: max(
                (hit.similarity * 100 for hit in hits if hit.face_id in {face.external_id for face in faces}),
                default=None,
            )
            for person, faces in self._of_photos.items()
        }
        self._trial.searches.append(Similarity(operation, best[PERSON], best[STRANGER]))

    def _parameters(self, operation: str) -> dict[str, Any]:
        wanted = dict(ALONE[operation])
        if wanted.get("Image") == "photo":
            wanted["Image"] = {"Bytes": _picture(self._samples.photos[PERSON][0])}
        return {"CollectionId": galleries.name(self._guests)} | wanted

    def _repeat(self, action: Callable[[], object]) -> None:
        for _ in range(REPEATS - 1):
            try:
                action()
            except Transient as error:
                if not _is_passing(error):
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return
        action()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Go on after a failure, which the client has recorded.

        Raises:
            _HopelessError: no other call can work either.
        """
        try:
            yield
        except FindMeError:
            if self._client.record and self._client.record[-1].is_hopeless:
                raise _HopelessError from None


def _is_passing(error: FindMeError | None) -> bool:
    """Whether the service was away, busy, or still working on an earlier call."""
    return isinstance(error, Transient) and not isinstance(error, MissingRights)


def _decoded(content: bytes) -> Frame:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def _crop(frame: Frame, faces: list[DetectedFace]) -> bytes:
    """Cut out the first of the faces to search with; the whole frame where none was found."""
    if not faces:
        return _picture(frame)
    box = faces[0].box
    return crops.probe_crop(frame, box.x, box.y, box.width, box.height)


def _picture(frame: Frame) -> bytes:
    picture = pictures.for_service(frame)
    assert picture is not None, "sample pictures are no strips"  # noqa: S101 - a fact of the samples
    return picture.content
