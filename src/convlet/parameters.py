"""The parameters of a network by name, as a user sees them."""

from collections.abc import Iterator, Mapping

from convlet.equations import Float32
from convlet.tables import Table
from convlet.wording import size


class Parameters(Mapping[str, Float32]):
    """Arrays by name, each a view of the flat vector: write into one, but put none in its place."""

    def __init__(self, arrays: Mapping[str, Float32]) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> Float32:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table().html

    def _table(self) -> Table:
        rows = []
        for name, w in self.items():
            spread = f"{w.min():.3g} to {w.max():.3g}, mean {w.mean():.2g}, sd {w.std():.2g}"
            rows.append((name, size(w.shape), f"{w.size:,}", spread))
        return Table(("parameter", "shape", "numbers", "values"), rows, "<<><")
