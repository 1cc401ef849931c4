"""Settings of a training: configuration, presets and stages."""
