"""The example of docs/equations.md as a network: its errors are the small whole numbers there."""

import numpy as np

from convlet import Network

IMAGE = np.array([[1, 2, 3], [0, 1, 2], [1, 0, 2]], np.float32)[..., None]
KERNEL = np.array([[1, 3], [-2, 2]], np.float32)[..., None, None]
ERROR = np.array([[4, 2], [-1, 6]], np.float32)[..., None]
Z = np.array([[-1, 3], [1, 0]])[..., None]
DELTA = np.array([[0, 2], [-1, 3]])[..., None]
DX = np.array([[0, 4, -4], [-2, 14, -4], [-3, 8, 3]])[..., None]
DW = np.array([[10, 1], [11, 7]])[..., None, None]
POOLED = 5
"""The error that comes down to the pool."""
POOLED_DELTA = np.array([[0, 5], [0, 0]])[..., None]


def example(sigma: str = "relu, flatten", engine: str = "auto") -> Network:
    """A convolution, sigma, and a dense stage of two classes.

    For IMAGE of class 1 both probabilities are 1/2, and the errors at x^1 are ERROR, or POOLED.
    """
    network = Network(f"conv 1 2, {sigma}, dense 2, softmax", (3, 3, 1), engine=engine)
    flat = [POOLED] if "pool" in sigma else ERROR.ravel()
    network.flat[:] = 0
    network.parameters["w0"][...] = KERNEL
    network.parameters["w1"][:, 0] = 2 * np.array(flat)  # (15) is (1/2, -1/2)
    outputs = network.activations(IMAGE[None])[0].output[0]
    network.parameters["b1"][0] = -outputs @ network.parameters["w1"][:, 0]
    return network
