"""The database: Flask's extensions, column types, connections, transactions' settings, and migrating.

Nothing here knows which tables there are, or why anybody asks.
"""
