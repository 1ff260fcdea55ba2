"""Opening archives of strangers: nothing is unpacked to disk, and no read is longer than a stated bound."""
