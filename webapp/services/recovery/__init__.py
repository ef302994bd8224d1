"""Finding work that nobody does, after an emptied Redis, a killed worker or a pause, and enqueueing it again.

Nothing here does the work itself, and no row is changed but to be given back.
"""
