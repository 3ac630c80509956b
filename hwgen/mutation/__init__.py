"""Single-point faults of the hardware, by which verification itself is verified."""
