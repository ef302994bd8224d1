"""The customer's shape by settings alone: Rekognition, S3 and PostgreSQL, each as a real server of the tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cloud.rekognition import RemoteRekognition, rekognition_process
from tests.cloud.s3_servers import ACCESS_KEY, SECRET_KEY, S3Server, moto, seaweedfs
from tests.support.servers import Postgres, postgres

BUCKET = "findme-tests"


@dataclass(frozen=True)
class Cloud:
    """The running servers, and the settings that name them, as the environment takes them."""

    database: Postgres
    store: S3Server
    faces: RemoteRekognition
    settings: dict[str, str]


@contextmanager
def cloud(models: Path, *, strict: bool = True) -> Iterator[Cloud]:
    """All three for the length of a block. models: where the test server of Rekognition folds its models.

    strict: a store that checks signatures, as Amazon's does (SeaweedFS), instead of a fast one (moto).
    """
    with ExitStack() as servers:
        database = servers.enter_context(postgres())
        store = servers.enter_context(seaweedfs() if strict else moto())
        faces = servers.enter_context(rekognition_process(models=models, keys={ACCESS_KEY: SECRET_KEY}))
        store.make_bucket(BUCKET)
        with database.connect() as connection:
            connection.execute("CREATE DATABASE findme")
        settings = {name.upper(): str(value) for name, value in store.settings(BUCKET).items()} | {
            "FACE_ENGINE": "rekognition",
            "REKOGNITION_REGION": "eu-west-1",
            "REKOGNITION_ENDPOINT_URL": faces.url,
            "DATABASE_URL": f"{database.url}/findme",
        }
        yield Cloud(database, store, faces, settings)
