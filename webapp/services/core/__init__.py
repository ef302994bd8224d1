"""What the services of all areas stand on: locks, claims, requests for work, blobs, engines, the audit log.

No use case of any one area is here, and no area but `rules` and `live` is imported.
"""
