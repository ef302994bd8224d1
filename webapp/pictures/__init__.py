"""Files of pictures: what they are, their pixels and metadata, and the renditions that are made of them.

Nothing here finds faces, or knows of events, the database or the web.
"""
