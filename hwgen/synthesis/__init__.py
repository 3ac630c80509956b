"""Synthesis of generated Verilog: area, parts and critical path with Yosys and a liberty file."""
