"""Any data set of the reasoning-gym library as a task."""
