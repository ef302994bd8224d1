"""What becomes of a photo that is in: renditions, faces, capture time, exports of one shot, and photographers' actions.

Who sees it is decided in `rules.visibility`, and who is on it in `matching`.
"""
