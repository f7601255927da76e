"""Networks in whole numbers: quantisation after training (docs/quantisation.md)."""
