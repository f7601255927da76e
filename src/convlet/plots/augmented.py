"""Images beside what augmentation makes of them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from convlet.arrays import as_images
from convlet.augmentation import Augmentation, apply, as_changes, check_shift
from convlet.engine import as_floats
from convlet.errors import InputError
from convlet.inputs import as_count, as_input_shape, as_seed
from convlet.plots.style import INK, SMALL, bare, figure, heading
from convlet.plots.tiles import as_rgb, height_of
from convlet.values import as_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


WIDTH = 0.95  # inches of an image
MOST_IMAGES = 50


def augmented(
    x: Any, augmentation: Augmentation | str, versions: int = 7, seed: int = 0
) -> "Figure":
    """A row an image: the original, then as training with this seed sees it in its first epochs.

    x (n, rows, columns[, channels]), 1 to 50 images, counted as samples 0, 1, ...  versions: 1 to
    20.  Raises `InputError`, `MissingDependencyError`.
    """
    changes = as_changes(augmentation)
    versions, seed = as_count(versions, "versions", 1, 20), as_seed(seed)
    expected = f"1 to {MOST_IMAGES} images (n, rows, columns, ...)"
    x = as_array(x, "x", expected)
    shape = x.shape
    if len(shape) not in (3, 4) or not 1 <= shape[0] <= MOST_IMAGES:
        raise InputError("x", shape, expected, found=f"has shape {shape}")
    check_shift(changes, shape[1:])
    images = as_floats(as_images(x, as_input_shape(shape[1:])))
    rows = len(images)
    height = height_of(images[0], WIDTH)
    drawing = figure(WIDTH * (versions + 1) + 0.2, height * rows + 0.5)
    heading(drawing, str(changes))
    columns = [images] + [
        apply(images, changes, np.arange(rows), seed, epoch) for epoch in range(versions)
    ]
    grid = drawing.subplots(rows, versions + 1, squeeze=False)
    for column, seen in enumerate(columns):
        for row in range(rows):
            axes = grid[row, column]
            bare(axes)
            axes.imshow(as_rgb(seen[row].astype(np.float32)), interpolation="none")
        title = "original" if column == 0 else f"epoch {column}"
        grid[0, column].set_title(title, fontsize=SMALL, color=INK)
    return drawing
