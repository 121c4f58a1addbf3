"""Wire shapes: what requests and answers look like, and nothing else."""
