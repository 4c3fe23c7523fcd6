"""A data set of the user's own as a task: files of questions with answers."""
