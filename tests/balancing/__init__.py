"""Tests of `balancing`; they use nothing of the product."""
