"""Settings of the system before this one: they count as before, become another one, or are said to be ignored."""

from pathlib import Path

import pytest

from webapp.errors import ConfigurationError
from webapp.settings import Settings, old_names
from webapp.settings.notices import notices


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    for name in ("MATCHING_PROCESSES", "MATCHING_THREAD_POOL_SIZE", "BCRYPT_ROUNDS", "WORKER_CLASS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def said() -> list[str]:
    return notices(Settings.from_env())


@pytest.mark.parametrize("name", ["WORKERS", "TIMEOUT", "GRACEFUL_TIMEOUT", "DB_POOL_SIZE", "DB_MAX_OVERFLOW"])
def test_what_kept_its_name_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    assert getattr(Settings.from_env(), name.lower()) == 7
    assert said() == []


@pytest.mark.parametrize(
    ("cores", "gigabytes", "wished", "number"), [(4, 16, 10, 4), (8, 3, 10, 3), (8, 16, 2, 2), (4, 0, 5, 1)]
)
def test_the_thread_pool_becomes_processes_that_the_machine_can_carry(
    cores: int, gigabytes: int, wished: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_names, "cores", lambda: cores)
    monkeypatch.setattr(old_names, "memory_bytes", lambda: gigabytes * 2**30 + 1)
    monkeypatch.setenv("MATCHING_THREAD_POOL_SIZE", str(wished))
    assert Settings.from_env().matching_processes == number
    (notice,) = said()
    assert f"MATCHING_THREAD_POOL_SIZE={wished} is taken as MATCHING_PROCESSES={number}" in notice
    assert ("one process a core" in notice) == (number < wished)


def test_rekognition_computes_elsewhere_so_that_the_machine_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_names, "cores", lambda: 1)
    monkeypatch.setenv("MATCHING_THREAD_POOL_SIZE", "10")
    monkeypatch.setenv("FACE_ENGINE", "rekognition")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Settings.from_env().matching_processes == 10


def test_the_new_name_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHING_THREAD_POOL_SIZE", "1")
    monkeypatch.setenv("MATCHING_PROCESSES", "3")
    assert Settings.from_env().matching_processes == 3
    assert said() == ["MATCHING_THREAD_POOL_SIZE is ignored, since MATCHING_PROCESSES is set."]


@pytest.mark.parametrize("value", ["0", "-1", "ten", "1.5", "²"])
def test_a_pool_that_is_no_number_is_refused_by_its_own_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHING_THREAD_POOL_SIZE", value)
    with pytest.raises(ConfigurationError, match="MATCHING_THREAD_POOL_SIZE="):
        Settings.from_env()


def test_what_has_no_effect_any_more_is_said_with_its_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCRYPT_ROUNDS", "4")
    monkeypatch.setenv("WORKER_CLASS", "uvicorn.workers.UvicornWorker")
    passwords, workers = said()
    assert "BCRYPT_ROUNDS" in passwords and "Argon2id" in passwords
    assert "uvicorn.workers.UvicornWorker" in workers and "WORKERS" in workers
    monkeypatch.delenv("BCRYPT_ROUNDS")
    monkeypatch.setenv("WORKER_CLASS", "webapp.web_worker.worker.Worker")
    assert said() == []


def test_names_that_are_nearly_ours_are_asked_about(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_URI", "redis://cache")
    (tmp_path / ".env").write_text("TRUSTED_PROXYS=1\nPOSTGRES_PASSWORD=for another program\n")
    first, second = said()
    assert "REDIS_URI" in first and "REDIS_URL" in first
    assert "TRUSTED_PROXYS" in second and "TRUSTED_PROXIES" in second
