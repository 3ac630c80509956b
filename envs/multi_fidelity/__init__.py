"""Tasks that can be asked at several fidelities, each at its price."""
