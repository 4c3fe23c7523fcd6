"""The algorithms of the field, a file each: `ALGORITHM` combines the functions that define it."""
