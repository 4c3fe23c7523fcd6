"""What is bought from a teacher model: the prompts, the HTTP client and the purchase book."""
