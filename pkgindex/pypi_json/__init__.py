"""The door at /pypi/: PyPI's JSON shape."""
