"""Training samples: cached and synthetic cases, patches and augmentation."""
