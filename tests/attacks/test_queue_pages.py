"""Making an admin's browser run a script by the page of a job.

The dashboard of the queues writes a job's texts into its page as HTML, and needs a policy that lets scripts in the page
run. The message of an error may quote what somebody has sent, such as an address: `img/src='x'/onerror='…'/@…` is one
that mail servers take, and quote in angle brackets. What must hold: texts stay texts.
"""

import json

import pytest
from flask import Flask
from rq.results import Result

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser
from webapp import queueing
from webapp.models import UserRole

SCRIPT = "<img/src='x'/onerror='alert`1`'/@example.org>"


@pytest.fixture
def admin(app: Flask, world: World) -> Browser:
    world.person("admin@example.com", UserRole.ADMIN)
    return Browser(app).sign_in("admin@example.com", PASSWORD)


def test_texts_of_a_job_are_no_html(app: Flask, admin: Browser) -> None:
    with app.app_context():
        job = queueing.queue(queueing.MAIL).enqueue(
            "jobs.tasks.send_mail", SCRIPT, description=SCRIPT, meta={"a": SCRIPT}
        )
        Result.create_failure(job, 60, f"Refused: 550 {SCRIPT}: unknown")
    answer = admin.get(f"/admin/queues/0/data/job/{job.id}.json")
    job.delete()
    assert answer.status_code == 200
    told = json.loads(answer.text)
    assert "550 &lt;img/src=&#39;x&#39;" in told["exc_info"]
    assert told["description"].startswith("&lt;img")
    assert not [text for text in told.values() if "<" in str(text)]
