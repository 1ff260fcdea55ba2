"""Limits on the index."""
