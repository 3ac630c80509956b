"""Gate-level simulation of the mapped netlist: a check of synthesis, and the toggle counts that energy rests on."""
