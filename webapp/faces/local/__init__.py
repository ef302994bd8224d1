"""The local face engine: YuNet finds faces, SFace describes them, ONNX Runtime computes.

Nothing here calls a cloud, downloads anything, or knows of the other engine. This file stays free of heavy imports: the
web process reads the identity below and must not load the models.
"""

ENGINE = "local"

RECIPE = 1
"""Counts every change after which embeddings are not comparable with earlier ones: weights, folding, detection,
alignment. Stored vectors carry it in their version, so that a change makes the product compute new ones."""

VERSION = f"sface-2021dec-r{RECIPE}"
