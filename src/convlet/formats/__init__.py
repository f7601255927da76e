"""The formats of the files that convlet writes and reads: bytes to records and back."""
