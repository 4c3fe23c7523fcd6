"""What happens inside each verb of the pipeline page. Talks to protocols only."""
