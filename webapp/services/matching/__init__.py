"""Which person is on which face: searching, the matches that follow, and rematches.

It reads faces and templates that others have computed, and never opens a file of a picture but to ask a face service.
"""
