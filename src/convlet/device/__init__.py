"""Networks as one C99 file for devices, in floats or whole numbers.  docs/devices.md shows it."""
