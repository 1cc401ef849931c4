"""Model bundles: manifest, weights, and where bundles are stored."""
