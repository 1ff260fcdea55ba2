"""The catalogue: indexes, projects, releases, files and their journal."""
