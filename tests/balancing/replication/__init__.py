"""Replication: real nodes, real workers, a real broker."""
