"""Every setting with its default, its limits and its effect."""

from pathlib import Path
from typing import Literal, Self, cast

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource, EnvSettingsSource

from webapp.errors import ConfigurationError
from webapp.settings import addresses
from webapp.settings.serving import refusals
from webapp.settings.sources import LayeredSource

ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Every setting of an installation, with its default. Names in the environment are these in capitals.

    What `make run` chose (port, Redis socket, secret) lies in DATA_DIR/findme.env and is read before `.env` and the
    environment, so that `rq` and `flask` commands started beside it meet the same installation.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    # --- The installation ---
    environment: Literal["production", "development", "testing"] = Field(
        "production",
        description="production refuses to serve without a strong secret and https; development is `make run`'s",
    )
    data_dir: Path = Field(
        ROOT / "data",
        description="folder for photos, selfies, models, unfinished uploads and, by default, the database",
    )
    secret_key: SecretStr = Field(
        SecretStr(""), description="signs sessions and links; the same for all processes, 32 characters or more"
    )
    public_url: str = Field(
        "", description="https address under which guests reach the installation; in QR codes and mails"
    )
    trusted_proxies: int = Field(
        0, ge=0, le=5, description="proxies in front that set X-Forwarded-*; 0 ignores these headers"
    )
    start_wait: int = Field(
        60, ge=0, description="seconds that a starting process waits for database, store and Redis before it gives up"
    )
    render: bool = Field(
        False, description="set by the platform Render; then S3 and PostgreSQL are required, since disks are not shared"
    )

    # --- The web server ---
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for other machines")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on; `make run` takes the next free one")
    workers: int = Field(2, ge=1, description="gunicorn processes")
    threads: int = Field(16, ge=1, description="threads of each gunicorn process")
    timeout: int = Field(120, ge=1, description="seconds after which a silent web worker is replaced")
    request_head_seconds: float = Field(20, gt=0, description="how long a request's headers may take")
    request_silence_seconds: float = Field(60, gt=0, description="how long a client may send, or take, nothing")
    request_min_rate: float = Field(2000, gt=0, description="bytes a second that a client has to send, or take")
    graceful_timeout: int = Field(30, ge=1, description="seconds that processes get to finish when they are stopped")

    # --- The workers ---
    matching_processes: int = Field(
        2, ge=1, description="RQ worker processes that `make run` and `python -m jobs.pool` start"
    )
    matching_nice: int = Field(0, ge=0, le=19, description="nice level of the workers of `make run`; 0: that of pages")
    job_timeout: int = Field(50, ge=5, description="seconds after which a job is ended")
    lease_seconds: int = Field(60, ge=5, description="seconds for which a claimed row belongs to its worker")
    sweep_interval: int = Field(
        15, ge=1, le=60, description="seconds between two looks for rows that wait without a job"
    )

    # --- Database and Redis ---
    database_url: str = Field("", description="PostgreSQL's address; empty: SQLite in DATA_DIR")
    db_pool_size: int = Field(20, ge=1, description="connections that a process keeps")
    db_max_overflow: int = Field(10, ge=0, description="connections that it may open beyond these for a while")
    db_pool_recycle: int = Field(1800, ge=1, description="seconds after which a connection is opened anew")
    db_statement_timeout: int = Field(30, ge=0, description="seconds after which PostgreSQL ends a statement; 0: never")
    db_lock_timeout: int = Field(10, ge=0, description="seconds that PostgreSQL waits for a lock; 0: for ever")
    redis_url: str = Field("", description="Redis or Valkey that never evicts; empty: the embedded one of `make run`")

    # --- The store ---
    blob_store: Literal["local", "s3"] = Field("local", description="where photos lie: DATA_DIR/blobs, or a bucket")
    s3_bucket: str = Field("", description="the bucket; required for BLOB_STORE=s3")
    s3_endpoint_url: str = Field("", description="address of an S3-compatible store that is not Amazon's")
    s3_encryption: Literal["AES256", "aws:kms", "none"] = Field(
        "AES256", description="encryption asked for on every object"
    )
    s3_kms_key_id: str = Field("", description="key for aws:kms; empty: the account's own")
    s3_url_seconds: int = Field(
        300, ge=30, le=3600, description="seconds for which the signed address of a picture is good"
    )

    # --- Amazon ---
    aws_region: str = Field(
        "", description="region of the bucket, and of Rekognition where REKOGNITION_REGION is empty"
    )
    aws_access_key_id: SecretStr = Field(
        SecretStr(""), description="access key; empty: boto3 looks in its usual places, such as the machine's role"
    )
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="its secret")
    aws_session_token: SecretStr = Field(SecretStr(""), description="session token of temporary keys")

    # --- Faces ---
    face_engine: Literal["local", "rekognition"] = Field(
        "local", description="engine of new events; an event keeps its own"
    )
    sure_threshold: float = Field(0.55, ge=0, le=1, description="cosine similarity from which a match is sure")
    maybe_threshold: float = Field(0.42, ge=0, le=1, description="cosine similarity from which a match is asked about")
    rekognition_region: str = Field("", description="Rekognition's region where it is not AWS_REGION")
    rekognition_endpoint_url: str = Field("", description="address of a service that is not Amazon's")
    rekognition_sure: float = Field(95, ge=0, le=100, description="Rekognition's similarity from which a match is sure")
    rekognition_maybe: float = Field(80, ge=0, le=100, description="the one from which a match is asked about")
    rekognition_calls_per_second: float = Field(0, ge=0, description="of each operation, all workers; 0: the region's")
    rekognition_price_per_1000: float = Field(1.0, ge=0, description="dollars for 1,000 billable calls")
    event_call_limit: int = Field(0, ge=0, description="billable calls an event may make; 0: no limit")

    # --- Limits ---
    max_photo_mb: int = Field(60, ge=1, description="MB of a photo at most")
    max_selfie_mb: int = Field(15, ge=1, description="MB of a selfie at most")
    max_megapixels: int = Field(80, ge=1, description="millions of pixels of a picture at most")
    upload_keep_hours: int = Field(48, ge=1, description="how long an unfinished upload waits to be gone on with")
    upload_open_files: int = Field(100, ge=1, description="unfinished uploads that one person may have")
    upload_open_mb: int = Field(2048, ge=1, description="MB of the files that these become")
    upload_open_files_all: int = Field(2000, ge=1, description="unfinished uploads of all together")
    upload_open_mb_all: int = Field(20480, ge=1, description="MB of the files that these become")
    upload_reserve_mb: int = Field(512, ge=0, description="MB of the disk that uploads leave free; 0: none")
    session_days: int = Field(30, ge=1, description="how long a browser or an API token stays signed in")

    # --- Mail ---
    smtp_url: SecretStr = Field(
        SecretStr(""), description="smtp://user:password@host:587 or smtps://…; empty: no mail is sent"
    )
    mail_from: str = Field("FindMe <no-reply@localhost>", description="sender of mails")

    # --- make run ---
    demo: bool = Field(True, description="whether `make run` makes its demo event")
    started_as_demo: bool = Field(False, description="told by `make run` to its processes, not set by hand")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then what `LayeredSource` finds outside."""
        layered = LayeredSource(
            settings_cls, cast("EnvSettingsSource", env_settings), cast("DotEnvSettingsSource", dotenv_settings)
        )
        return init_settings, layered

    @classmethod
    def from_env(cls) -> Self:
        """Read the environment (and .env, and DATA_DIR/findme.env).

        Raises:
            ConfigurationError: a value can't be used; names the setting.
        """
        try:
            data_dir = cls(_env_file=".env").data_dir  # type: ignore[call-arg]
            return cls(_env_file=(data_dir / "findme.env", ".env"))  # type: ignore[call-arg]
        except ValidationError as error:
            faults = "; ".join(
                ": ".join(filter(None, (".".join(str(part) for part in fault["loc"]).upper(), fault["msg"])))
                for fault in error.errors()
            ).replace("Value error, ", "")
            raise ConfigurationError(f"These settings can't be used: {faults}") from error
        except (OSError, UnicodeDecodeError) as error:
            name = getattr(error, "filename", None) or ".env or DATA_DIR/findme.env"
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigurationError(
                f"{name} can't be read ({reason}). It has settings, so start FindMe, and its commands, as the user "
                "that it belongs to."
            ) from error

    @model_validator(mode="before")
    @classmethod
    def _fill_derived(cls, values: dict[str, object]) -> dict[str, object]:
        """Defaults that follow from DATA_DIR; in development also a secret of the installation's own."""
        data_dir = Path(str(values.get("data_dir") or ROOT / "data")).expanduser().resolve()
        values["data_dir"] = data_dir
        values["database_url"] = _with_driver(
            str(values.get("database_url") or f"sqlite:///{data_dir / 'findme.sqlite'}")
        )
        values["redis_url"] = values.get("redis_url") or f"unix://{data_dir / 'redis.sock'}"
        if isinstance(values.get("public_url"), str):
            values["public_url"] = str(values["public_url"]).rstrip("/")
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if found := list(addresses.faults(self)):
            raise ValueError(" ".join(found))
        if self.is_sqlite and set("%?") & set(str(self.data_dir)):
            raise ValueError("DATA_DIR must not have % or ? in its path: they can't lie in a database's address")
        if self.maybe_threshold > self.sure_threshold:
            raise ValueError("MAYBE_THRESHOLD must not be above SURE_THRESHOLD")
        if self.rekognition_maybe > self.rekognition_sure:
            raise ValueError("REKOGNITION_MAYBE must not be above REKOGNITION_SURE")
        if self.blob_store == "s3" and not self.s3_bucket:
            raise ValueError("S3_BUCKET must name the bucket when BLOB_STORE=s3")
        if self.blob_store == "s3" and not (self.aws_region or self.s3_endpoint_url):
            raise ValueError("AWS_REGION must name the bucket's region when BLOB_STORE=s3")
        if self.face_engine == "rekognition" and not (self.rekognition_region or self.aws_region):
            raise ValueError("REKOGNITION_REGION or AWS_REGION must be set when FACE_ENGINE=rekognition")
        if min(self.upload_open_mb, self.upload_open_mb_all) < self.max_photo_mb:
            raise ValueError("UPLOAD_OPEN_MB and UPLOAD_OPEN_MB_ALL must not be below MAX_PHOTO_MB: no photo would fit")
        if self.lease_seconds <= self.job_timeout:
            raise ValueError("LEASE_SECONDS must be longer than JOB_TIMEOUT, or two workers would hold one row")
        return self

    @property
    def is_demo(self) -> bool:
        """Whether this process was started as part of a demo, which alone has development helpers.

        ENVIRONMENT=development says less: `make run` writes it down without a demo, too, and for addresses that others
        reach, and what is started beside it reads it from DATA_DIR/findme.env.
        """
        return self.environment == "development" and self.started_as_demo

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def blobs_dir(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def partials_dir(self) -> Path:
        """Where files lie that have not arrived completely."""
        return self.data_dir / "uploads"

    @property
    def models_dir(self) -> Path:
        """Where the folded face models are cached."""
        return self.data_dir / "models"

    def check_for_serving(self) -> None:
        """Refuse to serve people with settings that would put them, or their photos, at risk.

        Raises:
            ConfigurationError: names the setting, the risk, and what to do.
        """
        if found := refusals(self):
            raise ConfigurationError(" ".join(found))


def _with_driver(url: str) -> str:
    """Name the PostgreSQL driver that is installed, so that the URLs that hosts hand out work as they are."""
    for prefix in ("postgres://", "postgresql://", "postgresql+psycopg2://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url
