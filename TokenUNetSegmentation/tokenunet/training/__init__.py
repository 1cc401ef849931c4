"""Training: `tokenunet.training.jobs` takes labelled or synthetic patients to trained networks."""
