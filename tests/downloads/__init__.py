"""Tests of the downloads room."""
