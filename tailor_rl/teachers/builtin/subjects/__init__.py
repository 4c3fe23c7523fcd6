"""What the built-in teacher knows: a file a subject."""
