"""The fidelity ladder: what each cost model costs, how far it is off, and whether it ranks designs alike."""
