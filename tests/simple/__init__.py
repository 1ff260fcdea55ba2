"""Tests of the simple room."""
