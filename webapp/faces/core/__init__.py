"""What all face engines share: the protocols that they implement, boxes, vectors, and the selfie gate's rules.

No engine and no model is loaded from here, and nothing here knows of the web or the database.
"""
