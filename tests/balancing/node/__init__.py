"""Tests of the mirror node."""
