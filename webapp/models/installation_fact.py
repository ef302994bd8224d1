"""What all processes of an installation have to agree on."""

from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.extensions import Model


class InstallationFact(Model):
    """A named fact, such as which folder holds the blobs."""

    __tablename__ = "installation_fact"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
