"""The door at /simple/: the Simple repository API."""
