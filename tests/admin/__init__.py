"""Tests of the catalogue in the admin."""
