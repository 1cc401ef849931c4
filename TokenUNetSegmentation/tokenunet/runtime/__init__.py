"""The machine: device, memory, allocator, versions and clusters."""
