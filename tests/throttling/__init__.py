"""Tests of the throttling app; they run inside the product and in a project of their own."""
