"""`flask findme try-rekognition`: call each Rekognition operation that the product calls, with the operator's keys.

The trial works on temporary collections and sample faces, through the product's own client, analyzer and index. Nothing
here reads an event, writes to the database, or runs in a web or worker process.
"""
