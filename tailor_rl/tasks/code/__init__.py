"""Programming problems: write a Python function, or a program, that passes hidden tests."""
