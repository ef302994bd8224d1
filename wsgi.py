"""What gunicorn and the `flask` command load."""

from webapp import create_app
from webapp.private_folder import make_files_private
from webapp.settings import Settings

make_files_private()
app = create_app(Settings.from_env())
