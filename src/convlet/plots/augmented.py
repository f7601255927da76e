"""Images beside what augmentation makes of them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from convlet.augmentation import Augmentation, apply, as_augmentation
from convlet.engine import as_floats
from convlet.errors import InputError
from convlet.inputs import as_count, as_images, as_input_shape, as_seed
from convlet.plots.style import INK, LARGE, SMALL, bare, figure
from convlet.plots.tiles import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def augmented(
    x: Any, augmentation: Augmentation | str, versions: int = 7, seed: int = 0
) -> "Figure":
    """A row an image: the original, then as training with this seed sees it in its first epochs.

    x (n, rows, columns[, channels]), 1 to 50 images, counted as samples 0, 1, ...  versions: 1 to
    20.  Raises `InputError`, `MissingDependencyError`.
    """
    plan = as_augmentation(augmentation)
    if plan is None:
        raise InputError(f"augmentation is {augmentation!r}, expected one that changes images")
    versions, seed = as_count(versions, "versions", 1, 20), as_seed(seed)
    shape = np.shape(x)
    if len(shape) not in (3, 4) or not 1 <= shape[0] <= 50:
        raise InputError(f"x has shape {shape}, expected 1 to 50 images (n, rows, columns, ...)")
    images = as_floats(as_images(x, as_input_shape(shape[1:])))
    rows = len(images)
    drawing = figure(0.95 * (versions + 1) + 0.2, 0.95 * rows + 0.7)
    drawing.suptitle(str(plan), x=0.01, ha="left", fontsize=LARGE, color=INK)
    columns = [images] + [
        apply(images, plan, np.arange(rows), seed, epoch) for epoch in range(versions)
    ]
    grid = drawing.subplots(rows, versions + 1, squeeze=False)
    for column, seen in enumerate(columns):
        for row in range(rows):
            axes = grid[row, column]
            bare(axes)
            axes.imshow(picture(seen[row].astype(np.float32)), interpolation="none")
        title = "original" if column == 0 else f"epoch {column}"
        grid[0, column].set_title(title, fontsize=SMALL, color=INK)
    return drawing
