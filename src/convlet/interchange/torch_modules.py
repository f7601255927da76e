"""What convlet computes and PyTorch has no module for.  Imported where PyTorch is."""

import torch


class PositionBias(torch.nn.Module):  # type: ignore[misc]  # of a library that need not be there
    """A bias for each channel, row and column, (K, I, J)."""

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(channels, rows, columns))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.bias


class HalfReLU(torch.nn.Module):  # type: ignore[misc]
    """The rectifier (9) with R'(0) = 1/2 (10): of equal numbers, maximum gives each one half."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.maximum(x, torch.zeros_like(x))


class FlattenRows(torch.nn.Module):  # type: ignore[misc]
    """Flatten (5) in convlet's order, (row, column, channel)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)
