"""Images as numbers: arrays, and the files that hold them."""
