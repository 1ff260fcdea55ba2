"""Runs the suite of one reusable app in a project that has neither the product nor the other app."""
