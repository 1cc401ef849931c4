"""Runtime environment: device, memory, allocator, versions and Ray clusters."""
