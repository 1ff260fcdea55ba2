"""Copies of files on nodes: which there should be, how they get there, and how they stay true."""
