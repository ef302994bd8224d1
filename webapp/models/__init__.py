"""The tables, one concept a file; importing this package registers all of them.

Columns, relationships and what follows from one row alone belong here; what is done with rows is in `webapp.services`.
"""

from webapp.models.alarm import Alarm
from webapp.models.audit_entry import AuditEntry
from webapp.models.camera import Camera
from webapp.models.consent import Consent
from webapp.models.engine_usage import EngineUsage
from webapp.models.erasure_version import ErasureVersion
from webapp.models.event import Event, EventStatus
from webapp.models.face import Face, FaceVector
from webapp.models.idempotency_key import IdempotencyKey
from webapp.models.installation_fact import InstallationFact
from webapp.models.invitation import Invitation
from webapp.models.lease import Lease
from webapp.models.mail import Mail, MailStatus
from webapp.models.match import Band, ConfirmedVector, KeptVerdict, Match, UserScore, Verdict
from webapp.models.membership import Admission, Membership, MembershipRole, Person, PersonKind
from webapp.models.photo import GONE, Photo, PhotoStatus, Rendition, RenditionKind
from webapp.models.rematch import Rematch, RematchPerson, RematchTrigger
from webapp.models.removal import Removal, RemovalKind
from webapp.models.search_alert import AlertDecision, AlertKind, DeviceFaces, SearchAlert, SearchAlertMember
from webapp.models.selfie import Selfie, SelfieSource, SelfieStatus, SelfieVector
from webapp.models.upload import Upload, UploadStatus, UploadWay
from webapp.models.upload_token import UploadToken
from webapp.models.user import LinkPurpose, SignInLink, User, UserRole, UserSession

__all__ = [
    "GONE",
    "Admission",
    "Alarm",
    "AlertDecision",
    "AlertKind",
    "AuditEntry",
    "Band",
    "Camera",
    "ConfirmedVector",
    "Consent",
    "DeviceFaces",
    "EngineUsage",
    "ErasureVersion",
    "Event",
    "EventStatus",
    "Face",
    "FaceVector",
    "IdempotencyKey",
    "InstallationFact",
    "Invitation",
    "KeptVerdict",
    "Lease",
    "LinkPurpose",
    "Mail",
    "MailStatus",
    "Match",
    "Membership",
    "MembershipRole",
    "Person",
    "PersonKind",
    "Photo",
    "PhotoStatus",
    "Rematch",
    "RematchPerson",
    "RematchTrigger",
    "Removal",
    "RemovalKind",
    "Rendition",
    "RenditionKind",
    "SearchAlert",
    "SearchAlertMember",
    "Selfie",
    "SelfieSource",
    "SelfieStatus",
    "SelfieVector",
    "SignInLink",
    "Upload",
    "UploadStatus",
    "UploadToken",
    "UploadWay",
    "User",
    "UserRole",
    "UserScore",
    "UserSession",
    "Verdict",
]
