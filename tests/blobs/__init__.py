"""Tests of the blobs room."""
