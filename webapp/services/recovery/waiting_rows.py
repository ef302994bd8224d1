"""The rows that wait for work, and the job of each kind."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import true
from sqlalchemy.sql.elements import ColumnElement

from webapp.models import Mail, MailStatus, Person, Photo, Removal, Selfie
from webapp.queueing import INDEX_PHOTO, MATCH_PERSON, MATCH_SELFIE, REMOVE, SEND_MAIL, JobKind
from webapp.services.core import rematch_requests
from webapp.services.photos import indexing
from webapp.services.rules import search_gate
from webapp.services.selfies import selfie_intake


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row that workers claim: the job that does it, its key, and which rows wait for it."""

    job: JobKind
    model: type[Any]
    waits: ColumnElement[bool]

    def key(self) -> ColumnElement[str]:
        """The key of a row's job."""
        public_id: ColumnElement[str] = self.model.public_id
        return rematch_requests.job_key_column() if self.model is Person else public_id


CLAIMED = (
    Kind(MATCH_SELFIE, Selfie, selfie_intake.waits()),
    Kind(MATCH_PERSON, Person, rematch_requests.is_waiting() & search_gate.lets_person_pass()),
    Kind(REMOVE, Removal, true()),
    Kind(SEND_MAIL, Mail, Mail.status.in_((MailStatus.WAITING, MailStatus.SENDING))),
    Kind(INDEX_PHOTO, Photo, Photo.status.in_(indexing.WAITING)),
)
