"""What runs in an RQ worker: the jobs, each a thin call of a service, and the worker class with what it needs.

No use case is written here, and no page or API is called; `webapp` knows jobs by their dotted names alone.
"""
