"""Taking files in, by form, by parts or straight to the store, until each is a photo's row that waits, or is refused.

Nothing is decoded here, and no face is looked for: that is in `photos`.
"""
