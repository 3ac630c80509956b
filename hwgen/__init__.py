"""Hardware generation: RTL from a configuration, its simulation, verification and synthesis."""
