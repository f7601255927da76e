"""What kinds of images a source holds: sizes, colours, orientations, and which cannot be read."""

from dataclasses import dataclass, field


@dataclass
class Survey:
    """Counts over the images of a source.

    sizes: (rows, columns) as ROWSxCOLUMNS.  kinds: by name, as "palette".  grey: images without
    colour.  damaged: what is wrong with each that cannot be read, by its path.
    """

    images: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    grey: int = 0
    turned: int = 0
    several: int = 0  # files with more than one image
    deep: int = 0  # with 16 bits a channel
    recoloured: int = 0  # of other colours than those of sRGB
    damaged: dict[str, str] = field(default_factory=dict)

    def shapes(self) -> list[tuple[int, int, int]]:
        """(rows, columns, count), the most frequent first."""
        found = []
        for size, count in self.sizes.items():
            rows, columns = map(int, size.split("x"))
            found.append((rows, columns, count))
        return sorted(found, key=lambda row: (-row[2], row))
