"""Bytes by their sha256, stored durably."""
