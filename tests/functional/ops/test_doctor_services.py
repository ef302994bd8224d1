"""What the doctor says of store, engine and mail in each state that they can be in."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from tests.cloud.rekognition import RekognitionServer, rekognition
from tests.cloud.s3_servers import S3Server
from tests.functional.ops.doctoring import found, one
from tests.support import faces
from tests.support.postoffice import Postoffice, open_postoffice
from tests.support.servers import free_port
from webapp.faces.local import weights
from webapp.ops.doctor import database_checks, engine_checks, mail_checks, store_checks
from webapp.services.upkeep.installation_check import check_blob_store
from webapp.settings import Settings

DATABASE = (database_checks.check_database, database_checks.check_migrations)
STORE = (*DATABASE, store_checks.check_store)
KEYS = {"AKIADOCTOR": "only-for-tests"}


def secrets(values: dict[str, object]) -> dict[str, object]:
    return {name: SecretStr(str(value)) if "key" in name else value for name, value in values.items()}


# --- store ---


def test_a_folder_that_takes_blobs(app: Flask, settings: Settings) -> None:
    finding = one(settings, *STORE)
    assert finding.state == "ok" and "write" in finding.sentence and "delete" in finding.sentence
    assert [path for path in settings.blobs_dir.rglob("*") if path.is_file() and path.name != ".store-id"] == []


def test_a_folder_that_takes_none(app: Flask, settings: Settings, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled"
    spoiled.mkdir()
    (spoiled / "blobs").write_text("a file where a folder should be")
    assert one(settings, *STORE, data_dir=spoiled).state == "fail"


def test_the_store_of_another_machine(app: Flask, settings: Settings, tmp_path: Path) -> None:
    with app.app_context():
        check_blob_store()
    finding = one(settings, *STORE, data_dir=tmp_path / "elsewhere")
    assert finding.state == "fail" and "findme adopt-store" in finding.mend


@pytest.fixture
def bucket(seaweedfs_server: S3Server) -> dict[str, object]:
    return secrets(seaweedfs_server.settings(seaweedfs_server.bucket_of_process()))


def test_a_bucket_in_each_state(app: Flask, settings: Settings, bucket: dict[str, object]) -> None:
    assert one(settings, *STORE, **bucket).state == "ok"
    wrong_key = one(settings, *STORE, **bucket | {"aws_secret_access_key": SecretStr("wrong-secret")})
    assert wrong_key.state == "fail" and "iam-policy.json" in wrong_key.mend and "wrong-secret" not in str(wrong_key)
    assert one(settings, *STORE, **bucket | {"s3_bucket": "no-such-bucket"}).state == "fail"


def test_a_bucket_that_is_away(app: Flask, settings: Settings, bucket: dict[str, object]) -> None:
    away = one(settings, *STORE, **bucket | {"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
    assert away.state == "fail" and "Photos wait" in away.mend


def test_whether_browsers_may_send_photos(settings: Settings, moto_server: S3Server) -> None:
    name = moto_server.make_bucket("doctor-cors")
    changes = secrets(moto_server.settings(name)) | {"public_url": "https://photos.example.com"}
    check = store_checks.check_browser_uploads
    moto_server.let_browsers_upload(name, "https://photos.example.com")
    assert one(settings, check, **changes).state == "ok"
    other = one(settings, check, **changes | {"public_url": "https://other.example.com"})
    assert other.state == "fail" and "bucket-cors.json" in other.mend
    away = changes | {"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"}
    assert one(settings, check, **away).state == "fail"
    assert found(settings, check) == [], "local files need no rule"


# --- engine ---


@pytest.fixture
def models(settings: Settings) -> None:
    (settings.data_dir / "models").symlink_to(faces.prepared() / "models")


def test_the_local_engine(app: Flask, settings: Settings, models: None) -> None:
    assert one(settings, *DATABASE, engine_checks.check_engine).state == "ok"


def test_a_machine_without_the_engine_s_libraries(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(engine_checks.importlib.util, "find_spec", lambda name: None)
    assert one(settings, engine_checks.check_engine).state == "warn"
    monkeypatch.setattr(engine_checks.importlib.util, "find_spec", lambda name: (name != "cv2" and there(name)) or None)
    finding = one(settings, engine_checks.check_engine)
    assert finding.state == "fail" and "cv2" in finding.sentence


def test_weights_that_are_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    assert one(settings, engine_checks.check_engine).state == "fail"


@pytest.fixture(scope="module")
def cloud() -> Iterator[RekognitionServer]:
    with rekognition(keys=KEYS) as server:
        yield server


def hosted(server: RekognitionServer, **changes: Any) -> dict[str, Any]:
    return {
        "face_engine": "rekognition",
        "rekognition_region": "eu-west-1",
        "rekognition_endpoint_url": server.url,
        "aws_access_key_id": SecretStr("AKIADOCTOR"),
        "aws_secret_access_key": SecretStr("only-for-tests"),
    } | changes


def test_rekognition_in_each_state(settings: Settings, cloud: RekognitionServer) -> None:
    check = engine_checks.check_engine
    assert one(settings, check, **hosted(cloud)).state == "ok"
    denied = one(settings, check, **hosted(cloud, aws_secret_access_key=SecretStr("wrong-secret")))
    assert denied.state == "fail" and "iam-policy.json" in denied.mend and "wrong-secret" not in str(denied)
    away = one(settings, check, **hosted(cloud, rekognition_endpoint_url=f"http://127.0.0.1:{free_port()}"))
    assert away.state == "fail" and "Nothing is lost" in away.mend
    nowhere = one(settings, check, **hosted(cloud, rekognition_endpoint_url="", rekognition_region="xx-west-9"))
    assert nowhere.state == "fail" and "xx-west-9" in nowhere.sentence


# --- mail ---


def test_mail_in_each_state(settings: Settings) -> None:
    check = mail_checks.check_mail
    assert found(settings, check) == [], "development needs none"
    assert one(settings, check, environment="production").state == "warn"
    with open_postoffice(Postoffice()) as office:
        address = SecretStr(f"smtp://127.0.0.1:{office.port}")
        well = {"smtp_url": address, "mail_from": "FindMe <photos@party.test>"}
        assert one(settings, check, environment="production", **well).state == "ok"
        assert office.taken == [], "nothing is sent"
        nobody = one(settings, check, environment="production", smtp_url=address)
        assert nobody.state == "warn" and "MAIL_FROM" in nobody.mend
        in_clear = SecretStr(f"smtp://user:hidden@127.0.0.1:{office.port}")
        assert one(settings, check, smtp_url=in_clear).state == "fail", "a password would be sent in clear"
    away = one(settings, check, smtp_url=SecretStr(f"smtp://user:hidden@127.0.0.1:{free_port()}"))
    assert away.state == "fail" and "hidden" not in str(away)
