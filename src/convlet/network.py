"""`Network`: layers with parameters, and everything one does with them."""

from collections.abc import Mapping, Sequence
from math import prod
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet import equations as eq
from convlet import inputs, training
from convlet.augmentation import Augmentation, as_augmentation
from convlet.callbacks import Callback, as_callbacks
from convlet.checkpoint import Folder
from convlet.engine import Engine, Samples, as_floats
from convlet.engines import make_engine
from convlet.equations import Float32
from convlet.errors import InputError
from convlet.formats.model import save_network
from convlet.initial import initial_weights
from convlet.layerbase import Shape
from convlet.layers import Layer
from convlet.optimizers import Optimizer
from convlet.overview import stage_table
from convlet.parameters import Parameters
from convlet.progress import is_interactive, progress_callback
from convlet.run import History
from convlet.schedules import Schedule
from convlet.search import LearningRates, find_learning_rate, growing_rates
from convlet.settings import Settings
from convlet.stages import Stage, group, parameter_shapes, views
from convlet.tables import Table
from convlet.text import as_layers, format_layers
from convlet.wording import count, size


class Evaluation(NamedTuple):
    """Mean cost (14) and the share of images whose most probable class is right."""

    loss: float
    accuracy: float


class Network:
    """A network of stages (16), (17) with its parameters in one flat float32 vector.

    layers: a sequence of layers, their text form ("conv 8 5, relu, pool 2, ..."), or None for the
    network of (23).  input_shape: (rows, columns, channels).  seed: of the initial weights, He
    uniform in +-sqrt(6 / fan-in); biases are 0.  classes: one name a class, or None.
    engine: "auto", "native" or "reference".  flat: the parameters, as in the `flat` of another
    network, which are copied; None draws them.

    Raises `ArchitectureError` where layers do not fit, `InputError` for another wrong argument.
    """

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
        self.layers = as_layers(layers, 10 if names is None else len(names))
        self.input_shape = inputs.as_input_shape(input_shape)
        self.stages: tuple[Stage, ...] = group(self.layers, self.input_shape)
        self.class_count = self.stages[-1].output_shape[0]
        self.classes = names
        self.data = None
        self.settings: Settings | None = None
        """Of its last training; None where that is not known."""
        self.epochs = 0
        self.shapes: dict[str, Shape] = parameter_shapes(self.stages)
        seed = inputs.as_seed(seed)
        self.flat: Float32 = (
            initial_weights(self.stages, seed)
            if flat is None
            else inputs.as_vector(flat, sum(map(prod, self.shapes.values())), "flat")
        )
        """All parameters, one after the other."""
        self.engine: Engine = make_engine(engine, self.stages)

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
    def parameters(self) -> Mapping[str, Float32]:
        """Each parameter by name, "w0", "b0", ...: a view, so writing to it changes the network.

        As in `parameters["w0"][...] = array`; without [...] it is a TypeError.
        """
        return Parameters(views(self.flat, self.shapes))

    def predict_proba(self, x: Any, *, threads: int | None = None) -> Float32:
        """Class probabilities x^L.

        x (n, rows, columns, channels) -> (n, classes).  threads: as in `fit`.  Raises `InputError`.
        """
        images = inputs.as_images(x, self.input_shape)
        return self.engine.predict(self.flat, images, inputs.as_threads(threads))

    def predict(self, x: Any, *, threads: int | None = None) -> NDArray[np.int64]:
        """Most probable class of each image.

        x (n, rows, columns, channels) -> (n,).  threads: as in `fit`.  Raises `InputError`.
        """
        images = inputs.as_images(x, self.input_shape)
        z = self.engine.logits(self.flat, images, inputs.as_threads(threads))
        inputs.refuse_not_finite(z)
        return np.asarray(z.argmax(axis=1), np.int64)

    def evaluate(
        self, x: Any, y: Any, sample_weight: Any = None, *, threads: int | None = None
    ) -> Evaluation:
        """Mean cost (14) and accuracy.

        y (n,) classes or (n, classes) distributions.  threads: as in `fit`.  Raises `InputError`.
        """
        return self.score(self.samples(x, y, sample_weight), inputs.as_threads(threads))

    def score(self, data: Samples, threads: int | None = None) -> Evaluation:
        """`evaluate` for samples that are already checked."""
        z = self.engine.logits(self.flat, data.images, threads).astype(np.float64)
        with np.errstate(all="ignore"):  # the caller's choice is for the caller's numbers
            costs = eq.cross_entropy(z, data.targets)
            labels = data.targets if data.targets.ndim == 1 else data.targets.argmax(axis=1)
            # where the weights are not finite there is no most probable class
            right = (z.argmax(axis=1) == labels) & np.isfinite(z).all(axis=1)
            share = np.average(right, weights=data.weight)
            return Evaluation(float(eq.mean_cost(costs, data.weight)), float(share))

    def gradients(
        self, x: Any, y: Any, sample_weight: Any = None, *, threads: int | None = None
    ) -> dict[str, Float32]:
        """Derivative of the cost (13) of one minibatch by each parameter, a dict like `parameters`.

        sample_weight: omega of (13), (n,) or None.  threads: as in `fit`.  Raises `InputError`.
        """
        batch = self.samples(x, y, sample_weight)
        _, flat = self.engine.gradients(self.flat, batch, inputs.as_threads(threads))
        return views(flat, self.shapes)

    def fit(
        self,
        x: Any,
        y: Any,
        validation: tuple[Any, Any] | None = None,
        epochs: int = 5,
        batch_size: int = 32,
        learning_rate: float | None = None,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        *,
        sample_weight: Any = None,
        optimizer: Optimizer | str = "sgd",
        schedule: Schedule | str = "constant",
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        augmentation: Augmentation | str | None = None,
        threads: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        every: int | None = None,
        resume: bool = False,
        data_name: str | None = None,
        progress: bool | None = None,
    ) -> History:
        """Train by minibatch gradient descent (13), (21) -> a `History`, a row an epoch.

        validation: (x, y) to evaluate after every epoch.  seed: of the shuffles, of dropout and
        augmentation; every image is used once an epoch, in a last, smaller minibatch if need be.

        learning_rate: eta; None is the usual one of the optimiser, 0.1 for plain SGD.  optimizer:
        SGD, Adam, AdamW or a name; plain SGD is (21) as it stands.  schedule: of the learning rate,
        or its text form.  clip_norm: the greatest norm of the gradient of a step.  label_smoothing:
        s in (1 - s) y + s / M.  augmentation: an `Augmentation` or its text form.  threads: of the
        native engine; None is what the machine allows and the work is worth.  The result does not
        depend on it.

        checkpoint: a folder that gets a file at the start, after every epoch, after every `every`
        steps of an epoch, and where an exception ends training, Ctrl-C too; the last two and the
        best stay.  resume: go on from the newest valid one, with the same data and arguments, to
        the very bits of a run that was not interrupted; begin where there is none.  threads and,
        for a schedule that does not span them, epochs may differ.  data_name: what the network's
        file says that it was trained on.

        progress: show a bar, or lines where none can be drawn; None: where a person types, at a
        prompt of Python or in a notebook.

        An exception, Ctrl-C too, leaves the network after a whole number of steps.  Raises
        `InputError` before any work, `DivergedError` at a step that is not finite; `FileError` and
        `ModelFileError` for checkpoints that cannot be written, or read.
        """
        inputs.check_checkpoint(checkpoint, every, resume)
        settings = Settings(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            optimizer=optimizer,
            schedule=schedule,
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            augmentation=augmentation,
        )
        if self.epochs + settings.epochs > inputs.MOST_EPOCHS:
            hint = f"a network's life has at most {inputs.MOST_EPOCHS}"
            raise InputError("epochs", epochs, but=f"{self.epochs} are trained", hint=hint)
        threads, name = inputs.as_threads(threads), inputs.as_data_name(data_name, "data_name")
        told = as_callbacks(callbacks)
        if inputs.as_bool(is_interactive() if progress is None else progress, "progress"):
            told = (*told, progress_callback())
        data = self.samples(x, y, sample_weight)
        held_out = None
        if validation is not None:
            if not (isinstance(validation, tuple | list) and len(validation) == 2):
                found = f"is a {type(validation).__name__}"
                if isinstance(validation, tuple | list):
                    found += f" with {len(validation)} in it"
                raise InputError("validation", validation, "a pair (x, y) or None", found=found)
            held_out = self.samples(*validation, None, name="validation ")
        self.data, self.settings = name, settings
        if checkpoint is None:
            return training.fit(self, data, held_out, settings, told, threads)
        with Folder(checkpoint, every, resume, data, held_out) as folder:
            return training.fit(self, data, held_out, settings, told, threads, folder)

    def find_learning_rate(
        self,
        x: Any,
        y: Any,
        least: float = 1e-5,
        most: float = 10.0,
        steps: int = 200,
        batch_size: int = 32,
        seed: int = 0,
        *,
        sample_weight: Any = None,
        optimizer: Optimizer | str = "sgd",
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        augmentation: Augmentation | str | None = None,
        threads: int | None = None,
    ) -> LearningRates:
        """Range test: train a copy while the rate grows from `least` to `most` -> `LearningRates`.

        The rates are those of `steps` steps, each a fixed factor above the one before; the test
        ends early where the loss explodes.  The other arguments are those of `fit`.  The network
        stays as it is.  Raises `InputError`.
        """
        rates = growing_rates(least, most, steps)
        settings = Settings(
            batch_size=batch_size,
            seed=seed,
            optimizer=optimizer,
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            augmentation=augmentation,
        )
        threads = inputs.as_threads(threads)
        data = self.samples(x, y, sample_weight)
        return find_learning_rate(self, data, rates, settings, threads)

    def preview(
        self, x: Any, augmentation: Augmentation | str, *, seed: int = 0, epoch: int = 0
    ) -> Float32:
        """Images as training with this augmentation sees them, the first as sample 0, and so on.

        x (n, rows, columns, channels) -> the same shape, float32, 1 is white.  Raises `InputError`.
        """
        images = inputs.as_images(x, self.input_shape)
        ranges = as_augmentation(augmentation)
        seed, epoch = inputs.as_seed(seed), inputs.as_count(epoch, "epoch", 0)
        if ranges is None:
            return as_floats(images)
        return self.engine.augment(images, ranges, seed, epoch)

    def samples(self, x: Any, y: Any, sample_weight: Any = None, name: str = "") -> Samples:
        """Images and labels, checked.  Raises `InputError`."""
        images = inputs.as_images(x, self.input_shape, f"{name}x")
        targets = inputs.as_labels(y, len(images), self.class_count, f"{name}y")
        return Samples(images, targets, inputs.as_sample_weight(sample_weight, len(images)))

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
