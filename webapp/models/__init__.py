"""What there is. One concept a file; importing this package registers every table."""

from webapp.models.audit_entry import AuditEntry
from webapp.models.consent import Consent
from webapp.models.event import Event, EventStatus
from webapp.models.face import Face, FaceVector
from webapp.models.lease import Lease
from webapp.models.mail import Mail, MailStatus
from webapp.models.match import Band, Match, Verdict
from webapp.models.membership import Membership, MembershipRole, Person, PersonKind
from webapp.models.photo import Photo, PhotoStatus, Rendition, RenditionKind
from webapp.models.selfie import Selfie, SelfieStatus, SelfieVector
from webapp.models.user import SignInLink, User, UserRole, UserSession

__all__ = [
    "AuditEntry",
    "Band",
    "Consent",
    "Event",
    "EventStatus",
    "Face",
    "FaceVector",
    "Lease",
    "Mail",
    "MailStatus",
    "Match",
    "Membership",
    "MembershipRole",
    "Person",
    "PersonKind",
    "Photo",
    "PhotoStatus",
    "Rendition",
    "RenditionKind",
    "Selfie",
    "SelfieStatus",
    "SelfieVector",
    "SignInLink",
    "User",
    "UserRole",
    "UserSession",
    "Verdict",
]
