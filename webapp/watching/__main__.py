"""`python -m webapp.watching FOLDER --event CODE --url https://…`, with the token in FINDME_TOKEN."""

from webapp.watching.command import watch

if __name__ == "__main__":
    watch(prog_name="python -m webapp.watching")
