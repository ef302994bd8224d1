"""What can be done. One use a file; services flush, the caller's unit of work commits."""
