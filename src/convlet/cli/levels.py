"""What the images of `convlet predict` were, together."""

from collections.abc import Iterator
from math import inf, sqrt

from convlet.values import ENOUGH, Scale, difference_of


class Levels:
    """What the images of all files were, together: a few may be dark, many are not."""

    def __init__(self) -> None:
        self.images, self.squares, self.lowest = 0, 0.0, inf

    def add(self, scale: Scale) -> None:
        """One more image, by its own scale."""
        self.images += 1
        self.squares += scale.size**2
        self.lowest = min(self.lowest, scale.lowest)

    def strange(self, trained: Scale | None) -> Iterator[str]:
        """What is said where the numbers of training meant something else."""
        if trained is not None and self.images >= ENOUGH:
            found = Scale(self.lowest, sqrt(self.squares / self.images))
            if difference := difference_of(trained, found):
                yield f"the {self.images:,} images are {difference}: are they prepared alike?"
