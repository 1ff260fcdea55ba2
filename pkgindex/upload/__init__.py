"""The door at /legacy/: the one way a file comes to be."""
