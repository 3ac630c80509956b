"""What number formats cost in accuracy, area and energy: the study of docs/datatypes.md."""
