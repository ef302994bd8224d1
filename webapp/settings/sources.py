"""Where settings come from beside plain variables: files with secrets, and names of the system before this one."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pydantic_settings.sources import DotEnvSettingsSource, EnvSettingsSource

from webapp.settings import old_names, secret_files


class LayeredSource(PydanticBaseSettingsSource):
    """The environment over the `.env` files, each with its secrets in files; then the old names."""

    def __init__(
        self, settings_cls: type[BaseSettings], environment: EnvSettingsSource, dotenv: DotEnvSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        self._environment, self._dotenv = environment, dotenv

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the protocol's
        """Not used: `__call__` answers for all fields."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return every value that is set somewhere.

        Raises:
            ConfigurationError: a file with a secret, or an old setting, can't be used.
        """
        variables, files = self._environment.env_vars, self._dotenv.env_vars
        values: dict[str, Any] = dict(self._dotenv())
        # `make run` writes what such a file held into DATA_DIR/findme.env, so here both may be set.
        values |= secret_files.read(files, exclusive=False)
        values |= self._environment() | secret_files.read(variables, exclusive=True)
        number, _ = old_names.matching_processes({**files, **variables}, str(values.get("face_engine") or "local"))
        if number is not None:
            values["matching_processes"] = number
        return values
