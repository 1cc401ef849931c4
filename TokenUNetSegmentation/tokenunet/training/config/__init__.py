"""Training settings: configuration, presets and stages."""
