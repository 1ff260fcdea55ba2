"""Tests of the pypi_json room."""
