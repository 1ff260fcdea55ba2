"""The table of invalid uploads, one file for each part of an upload that can be wrong."""
