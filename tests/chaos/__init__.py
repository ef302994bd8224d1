"""Workers are killed and Redis is emptied in the middle of work: `make chaos` at length, `make test` for a moment."""
