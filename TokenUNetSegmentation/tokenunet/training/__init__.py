"""Training: `tokenunet.training.jobs` takes labeled or synthetic patients to trained networks."""
