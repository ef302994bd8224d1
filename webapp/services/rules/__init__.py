"""The rules: who sees a photo, who may be searched for, and what a similarity means.

Each is one condition or function that all others use. Nothing here writes a row or asks for work.
"""
