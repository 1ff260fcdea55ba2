"""The door at /packages/: files and their metadata."""
