"""The mirror node: a store of verified copies, a small WSGI application in front of it, and its client."""
