"""A network with the parameters that it has: predictions, cost, derivatives, its file."""

from collections.abc import Mapping, Sequence
from math import prod
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet import arrays, chunks, inputs
from convlet import equations as eq
from convlet.balance import as_class_weight, by_class, omega
from convlet.device.exports import DeviceExports
from convlet.engine import Engine, Samples
from convlet.engines import make_engine
from convlet.equations import Array, Float32, Float64
from convlet.errors import InputError, Name
from convlet.formats.model import save_network
from convlet.held_back import HeldBack, as_held_back
from convlet.initial import initial_weights
from convlet.interchange.exports import Exports
from convlet.layers import Layer
from convlet.overview import stage_table
from convlet.parameters import Parameters
from convlet.preparation import Preparation, as_preparation
from convlet.reference import quiet
from convlet.settings import Settings
from convlet.shapes import Shape
from convlet.stages import Stage, group, on_lines, parameter_shapes, views
from convlet.tables import Table
from convlet.text import as_layers, format_layers
from convlet.tracing import StageActivations, StageErrors, activations, errors
from convlet.values import Scale, as_scale, check_scale
from convlet.wording import count, size


class Evaluation(NamedTuple):
    """Mean cost (14) and the share of images whose most probable class is right."""

    loss: float
    accuracy: float


class Seen(NamedTuple):
    """Samples as a network sees them: what enters the softmax (n, M), classes (n,), mean cost (14).

    The class of a distribution is its most probable one.
    """

    z: Float64
    labels: NDArray[np.int64]
    loss: float

    @quiet
    def judged(self, weight: Float32 | None) -> Evaluation:
        """What that is worth.  weight: of the samples (n,), or None."""
        # where the weights are not finite there is no most probable class
        right = (self.z.argmax(axis=1) == self.labels) & np.isfinite(self.z).all(axis=1)
        return Evaluation(self.loss, float(np.average(right, weights=weight)))


class Inference(Exports, DeviceExports):
    """A network with the parameters that it has; see `Network`, which adds their training."""

    def __init__(
        self,
        layers: Sequence[Layer] | str | None = None,
        input_shape: Sequence[int] = (28, 28, 1),
        seed: int = 0,
        *,
        classes: Sequence[str] | None = None,
        engine: str = "auto",
        flat: Any = None,
    ) -> None:
        names = inputs.as_class_names(classes)
        self._layers = as_layers(layers, 10 if names is None else len(names))
        self._input_shape = inputs.as_input_shape(input_shape)
        self._stages = group(self.layers, self.input_shape)
        self.classes = names
        self.data = self.preparation = self.held_back = self.scale = None
        self.settings = None
        self.said: tuple[str, ...] = ()
        """Where it came from another library: a sentence for each thing that is not as there."""
        self.epochs = 0
        self._shapes = parameter_shapes(self.stages)
        seed = inputs.as_seed(seed)
        self._flat: Float32 = on_lines(
            initial_weights(self.stages, seed)
            if flat is None
            else arrays.as_vector(flat, sum(map(prod, self.shapes.values())), "flat")
        )
        self.engine = engine

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy, also a shallow one, which has weights of its own, or in another process."""
        self.__dict__.update(state)
        self._flat = on_lines(self._flat)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """As they were given."""
        return self._layers

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The layers in stages (16), (17)."""
        return self._stages

    @property
    def class_count(self) -> int:
        """M, the units of the last layer."""
        return self.stages[-1].output_shape[0]

    @property
    def shapes(self) -> dict[str, Shape]:
        """Of each parameter, by name, in the order of `flat`."""
        return dict(self._shapes)

    @property
    def flat(self) -> Float32:
        """All parameters, one after the other.

        Setting it copies other numbers into it, and raises `InputError` for a vector of another
        size or with numbers that are not finite.
        """
        return self._flat

    @flat.setter
    def flat(self, value: Any) -> None:
        self._flat[...] = arrays.as_vector(value, len(self._flat), "flat")

    @property
    def engine(self) -> Engine:
        """What computes.  Setting it, also by a name as for `Network`, raises `InputError`."""
        return self._engine

    @engine.setter
    def engine(self, value: Engine | str) -> None:
        self._engine = value if isinstance(value, Engine) else make_engine(value, self.stages)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of an image."""
        return self._input_shape

    @property
    def classes(self) -> tuple[str, ...] | None:
        """A name for each class, or None.  Setting it raises `InputError` for another number."""
        return self._classes

    @classes.setter
    def classes(self, value: Sequence[str] | None) -> None:
        names = inputs.as_class_names(value)
        if names is not None and len(names) != self.class_count:
            hint = f"the last layer has {self.class_count} units"
            found = f"has {len(names)} names"
            raise InputError("classes", names, str(self.class_count), hint, found=found)
        self._classes = names

    @property
    def epochs(self) -> int:
        """Epochs trained so far: the shuffle of the next one is keyed by it."""
        return self._epochs

    @epochs.setter
    def epochs(self, value: int) -> None:
        self._epochs = inputs.as_count(value, "epochs", 0, inputs.MOST_EPOCHS)

    @property
    def data(self) -> str | None:
        """The name of the data set that it was trained on, None where `fit` was not told one.

        As `datasets.load` knows it.  Setting it raises `InputError` for what is no such name.
        """
        return self._data

    @data.setter
    def data(self, value: str | None) -> None:
        self._data = inputs.as_data_name(value)

    @property
    def preparation(self) -> Preparation | None:
        """What was done with the image files that it was trained on, to be done with new ones.

        As a `Dataset` tells it; None where the images were arrays.  Setting it, or its record,
        raises `InputError` for one of another input_shape.
        """
        return self._preparation

    @preparation.setter
    def preparation(self, value: Preparation | Mapping[str, Any] | None) -> None:
        self._preparation = None if value is None else as_preparation(value, self.input_shape)

    @property
    def held_back(self) -> HeldBack | None:
        """Which images of its data were kept from it to test with.

        As a `Dataset` tells it; None where they came as a part, or nobody knows.  Setting it, or
        its record, raises `InputError` for anything else.
        """
        return self._held_back

    @held_back.setter
    def held_back(self, value: HeldBack | Mapping[str, Any] | None) -> None:
        self._held_back = None if value is None else as_held_back(value)

    @property
    def scale(self) -> Scale | None:
        """What the numbers of the images meant that it was trained on; None where nobody knows.

        `fit` measures it; `predict` and `evaluate` refuse images on another scale.  Setting it
        raises `InputError` for what is none.
        """
        return self._scale

    @scale.setter
    def scale(self, value: Scale | Sequence[float] | None) -> None:
        self._scale = as_scale(value)

    @property
    def settings(self) -> Settings | None:
        """How the last call of `fit` trained it; None where that is not known.

        Setting it raises `InputError` for anything else.
        """
        return self._settings

    @settings.setter
    def settings(self, value: Settings | None) -> None:
        if not isinstance(value, Settings | None):
            raise InputError("settings", value, "a convlet.Settings or None")
        self._settings = value

    @property
    def parameters(self) -> Mapping[str, Float32]:
        """Each parameter by name, "w0", "b0", ...: a view, so writing to it changes the network.

        As in `parameters["w0"][...] = array`; without [...] it is a TypeError.
        """
        return Parameters(views(self.flat, self.shapes))

    @chunks.by_chunks(np.float32)
    def predict_proba(self, x: Any, *, threads: int | None = None) -> Float32:
        """Class probabilities x^L.

        x (n, rows, columns, channels) -> (n, classes).  threads: as in `fit`.  Of a Dask array of
        images it is a Dask array, computed chunk by chunk when it is asked.  Raises `InputError`.
        """
        images = self._images(x)
        return self.engine.predict(self.flat, images, inputs.as_threads(threads))

    @chunks.by_chunks(np.int64, wide=False)
    def predict(self, x: Any, *, threads: int | None = None) -> NDArray[np.int64]:
        """Most probable class of each image.

        x (n, rows, columns, channels) -> (n,).  threads: as in `fit`.  Of a Dask array of images it
        is a Dask array, computed chunk by chunk when it is asked.  Raises `InputError`.
        """
        z = self._logits(x, threads=threads)
        refuse_not_finite(z)
        return np.asarray(z.argmax(axis=1), np.int64)

    @chunks.by_chunks(np.float32)
    def _logits(self, x: Any, *, threads: int | None = None) -> Float32:
        """What enters the softmax, (n, classes).  Raises `InputError`."""
        images = self._images(x)
        return self.engine.logits(self.flat, images, inputs.as_threads(threads))

    def _images(self, x: Any) -> Array:
        """Images of the caller, on the scale of training.  Raises `InputError`."""
        images = arrays.as_images(x, self.input_shape)
        check_scale(images, self.scale, "x")
        return images

    def evaluate(
        self, x: Any, y: Any, sample_weight: Any = None, *, threads: int | None = None
    ) -> Evaluation:
        """Mean cost (14) and accuracy.

        y (n,) classes or (n, classes) distributions.  threads: as in `fit`.  A Dask array of images
        is computed chunk by chunk, to the same bits: what is kept of an image is what enters the
        softmax.  Raises `InputError`.
        """
        if not chunks.is_chunked(x):
            return self.score(self.samples(x, y, sample_weight), inputs.as_threads(threads))
        z, (targets, weight) = chunks.computed(
            self._logits(x, threads=threads), lambda count: self._labels(y, sample_weight, count)
        )
        return seen_of(z.astype(np.float64), targets, weight).judged(weight)

    @quiet
    def score(self, data: Samples, threads: int | None = None) -> Evaluation:
        """`evaluate` for samples that are already checked."""
        return self.seen(data, threads).judged(data.weight)

    def seen(self, data: Samples, threads: int | None = None) -> Seen:
        """What the network makes of samples that are already checked, but for their scale.

        Raises `InputError`.
        """
        check_scale(data.images, self.scale, "x")
        z = self.engine.logits(self.flat, data.images, threads)
        return seen_of(z.astype(np.float64), data.targets, data.weight)

    def gradients(
        self, x: Any, y: Any, sample_weight: Any = None, *, threads: int | None = None
    ) -> dict[str, Float32]:
        """Derivative of the cost (13) of one minibatch by each parameter, a dict like `parameters`.

        sample_weight: omega of (13), (n,) or None.  threads: as in `fit`.  Raises `InputError`.
        """
        batch = self.samples(x, y, sample_weight)
        _, flat = self.engine.gradients(self.flat, batch, inputs.as_threads(threads))
        return views(flat, self.shapes)

    def activations(self, x: Any, *, threads: int | None = None) -> list[StageActivations]:
        """Every number of the forward pass, outside training: x^l, z^l and each output of sigma^l.

        x (n, rows, columns, channels) -> a `StageActivations` a stage, of all images at once, so
        take a few.  threads: as in `fit`.  Raises `InputError`.
        """
        images = self._images(x)
        return activations(self.engine, self.flat, self.stages, images, inputs.as_threads(threads))

    def errors(self, x: Any, y: Any, *, threads: int | None = None) -> list[StageErrors]:
        """Every error of the way back (19), (20): dE/dz^l, dE/dx^l and those between them.

        E is each image's own cost E^n (14): no 1 / B.  x (n, rows, columns, channels), y (n,)
        classes or (n, classes) distributions -> a `StageErrors` a stage, of all images at once, so
        take a few.  threads: as in `fit`.  Raises `InputError`.
        """
        data = self._seen_in_training(x, y)
        return errors(self.engine, self.flat, self.stages, data, inputs.as_threads(threads))

    def input_gradient(self, x: Any, y: Any, *, threads: int | None = None) -> Float32:
        """dE^n/dx^0: how the cost (14) of each image changes with its pixels, white being 1.

        x (n, rows, columns, channels), y as for `errors` -> like x, float32.  threads: as in `fit`.
        Raises `InputError`.
        """
        data, count = self._seen_in_training(x, y), inputs.as_threads(threads)
        found = self.engine.errors(self.flat, data.images, data.targets, count)
        return found[0][1].reshape(data.images.shape)

    def _seen_in_training(self, x: Any, y: Any) -> Samples:
        """Images, on the scale of training, with their labels.  Raises `InputError`."""
        data = self.samples(x, y)
        check_scale(data.images, self.scale, "x")
        return data

    def samples(
        self, x: Any, y: Any, sample_weight: Any = None, name: str = "", class_weight: Any = None
    ) -> Samples:
        """Images and labels, checked, with omega of (13).  Raises `InputError`."""
        images = arrays.as_images(x, self.input_shape, f"{name}x")
        targets, own = self._labels(y, sample_weight, len(images), name)
        weights = by_class(as_class_weight(class_weight), targets, self.class_count, self.classes)
        return Samples(images, targets, omega(weights, targets, own))

    def _labels(
        self, y: Any, sample_weight: Any, count: int, name: str = ""
    ) -> tuple[Array, Float32 | None]:
        """Labels of so many images and their own weights, checked.  Raises `InputError`."""
        targets = arrays.as_labels(y, count, self.class_count, f"{name}y", self.classes)
        return targets, arrays.as_sample_weight(sample_weight, count)

    def summary(self) -> Table:
        """The stages as a table, a str: layers, shapes, parameters, multiply-adds."""
        return stage_table(self.stages)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to one safetensors file, or leave an old file as it was.

        Raises `FileError`.
        """
        save_network(self, path)

    def __repr__(self) -> str:
        layers = format_layers(self.layers)
        engine = self.engine.name
        return f"Network({layers!r}, input_shape={self.input_shape}, engine={engine!r})"

    def _repr_html_(self) -> str:
        trained = f"{count(self.epochs, 'epoch')} trained"
        line = f"Network, images {size(self.input_shape)}, {self.engine.name} engine, {trained}"
        return f"<p>{line}</p>{self.summary().html}"


@quiet
def seen_of(z: Float64, targets: Array, weight: Float32 | None) -> Seen:
    """Of samples that are already checked.  z: what enters the softmax (n, M)."""
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    loss = float(eq.mean_cost(eq.cross_entropy(z, targets), weight))
    return Seen(z, np.asarray(labels, np.int64), loss)


def refuse_not_finite(outputs: Array) -> None:
    """Raise `InputError` for a network with such outputs (n, M): it has no most probable class."""
    broken = int((~np.isfinite(outputs)).any(axis=1).sum())
    if broken:
        found = f"gives numbers that are not finite for {broken} of {len(outputs)} images"
        hint = (
            "train it anew with a smaller ",
            Name("learning_rate"),
            ", or with ",
            Name("clip_norm"),
        )
        raise InputError("network", None, found=found, hint=hint)
