"""What `convlet sweep` found: trials, their ranking, the folder that keeps them."""
