"""Files of any kind: names and errors, atomic writes, bounded reads."""
