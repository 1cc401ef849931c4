"""Parts of the Token-UNet Training module that need an MRML scene or Qt, and its training process."""
