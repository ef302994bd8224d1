"""What gunicorn and the `flask` command load."""

from webapp import create_app
from webapp.private_folder import make_files_private
from webapp.settings import Settings

make_files_private()
try:
    app = create_app(Settings.from_env())
except Exception as error:
    from webapp.ops.unconfigured import app_for_doctor

    app = app_for_doctor(error)
