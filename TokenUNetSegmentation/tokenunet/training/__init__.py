"""Training. `tokenunet.training.synthetic` trains a network on an endless stream of synthetic patients."""
