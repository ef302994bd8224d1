"""Real workers drop what was erased within seconds while they have nothing to do, and are left alone otherwise."""

import re
import time
from pathlib import Path

from tests.support.actors import photos_with, selfie
from tests.support.product import QUICK, Product, photographer, register, running

AT_ONCE = 5.0
"""Seconds: a worker that waits looks every second, and a machine may be busy with other tests."""


def drops(product: Product) -> int:
    """How often a worker was told to drop what was erased."""
    logs = (product.data_dir / "logs").glob("*")
    return sum(len(re.findall(r"\bjob=drop_erased\b", log.read_text())) for log in logs)


def test_idle_workers_drop_an_erased_template_and_no_file_keeps_it(tmp_path: Path) -> None:
    with running(tmp_path / "data", WEB_CONCURRENCY="1", **QUICK | {"SWEEP_INTERVAL": "60"}) as product:
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})
        guest = register(product, event["code"], "grace")
        guest.upload_selfie(selfie("grace"))
        product.wait("SELECT count(*) FROM selfie WHERE status = 'accepted'", 1)
        for name, content in photos_with("grace", 2):
            owner.upload(event["id"], name, content)
        product.wait("SELECT count(*) FROM photo WHERE status = 'indexed'", 2)
        product.wait("SELECT count(*) FROM person WHERE match_wanted <> match_done", 0)
        ((template,),) = product.rows("SELECT vector FROM selfie_vector")
        workers = len(product.workers())
        assert drops(product) == 0, "nothing was erased yet"

        guest.post("/consent", json={"granted": False})
        deadline = time.monotonic() + AT_ONCE
        while drops(product) < workers and time.monotonic() < deadline:
            time.sleep(0.1)
        # The job that truncates the log announces the erasure again, for workers that missed it.
        assert workers <= drops(product) <= 2 * workers
        product.wait("SELECT count(*) FROM erasure_version WHERE truncated < version", 0, seconds=20)
        product.wait("SELECT count(*) FROM removal", 0, seconds=20)
        parts = [template[at : at + 32] for at in range(0, len(template), 32)]
        files = [path for path in product.data_dir.rglob("*") if path.is_file() and "models" not in path.parts]
        assert [path.name for path in files if any(part in path.read_bytes() for part in parts)] == []
        before = drops(product)
        time.sleep(3)
        assert drops(product) == before, "workers are left alone while nothing is erased"
