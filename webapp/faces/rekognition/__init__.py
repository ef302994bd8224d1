"""The Amazon Rekognition engine: the service finds, keeps and compares the faces; we keep its names for them.

Nothing here looks for faces by itself or knows of the other engine. This file stays free of heavy imports: web
processes read the name below and must not load boto3.
"""

ENGINE = "rekognition"
