"""iGSM: grade-school word problems whose dependency graph has an exact number of operations."""
