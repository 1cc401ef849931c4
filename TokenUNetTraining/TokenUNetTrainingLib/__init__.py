"""What the Token-UNet Training module is made of: what needs a MRML scene or Qt, and the process that trains."""
