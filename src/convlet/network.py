"""`Network`: layers with parameters that can be trained."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from os import PathLike
from typing import Any

from convlet import arrays, inputs, training
from convlet.augmentation import Augmentation, as_augmentation, check_shift
from convlet.callbacks import Callback, as_callbacks
from convlet.checkpoint import Folder
from convlet.cluster import USUAL_SHARDS, USUAL_SILENCE, training_on
from convlet.engine import Samples, Trainer, as_floats
from convlet.equations import Float32
from convlet.errors import InputError
from convlet.inference import Inference
from convlet.optimizers import Optimizer
from convlet.progress import is_interactive, progress_callback
from convlet.quantised.calibration import USUAL_COUNT, USUAL_RANGES
from convlet.quantised.network import QuantizedNetwork
from convlet.quantised.network import quantize as quantised
from convlet.run import History
from convlet.schedules import Schedule
from convlet.search import LearningRates, find_learning_rate, growing_rates
from convlet.settings import Settings
from convlet.stopping import EarlyStopping
from convlet.values import check_same_scale, scale_of


class Network(Inference):
    """A network of stages (16), (17) with its parameters in one flat float32 vector.

    layers: a sequence of layers, their text form ("conv 8 5, relu, pool 2, ..."), or None for the
    network of (23).  input_shape: (rows, columns, channels).  seed: of the initial weights, He
    uniform in +-sqrt(6 / fan-in); biases are 0.  classes: one name a class, or None.
    engine: "auto", "native" or "reference".  flat: the parameters, as in the `flat` of another
    network, which are copied; None draws them.

    Raises `ArchitectureError` where layers do not fit, `InputError` for another wrong argument.
    """

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
        shards: int | None = None,
        cluster: Any = None,
        silence: float = USUAL_SILENCE,
        sample_weight: Any = None,
        class_weight: Any = None,
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

        shards: parts of every minibatch whose sums meet along a binary tree: several workers may
        take some each, to the same bits; 1 is one sum in the order of its own.  None is 1, and with
        a cluster 8, however many workers it has: the bits depend on it, and on nobody's workers.

        cluster: whose workers take the steps: a client or a cluster of Dask, or the address of a
        scheduler, as "tcp://10.0.0.1:8786"; everything else happens here as without one.  Each
        worker sums some of the shards, on as many threads as Dask gives it; threads is another
        number.  Workers that are lost are done without, those that come later take part: the bits
        stay the same.  x may be a Dask array there, divided along its first axis, and y one, too:
        images stay where they are, and nobody has all of them; those of validation come here.  A
        memory map of a file is opened by workers that read it.  "mpi": the ranks of MPI, each of
        which makes this call with the same arguments; callbacks and checkpoints are those of rank
        0, and all end with the same network.
        silence: seconds without a sign of life after which a worker is left behind; so long the
        workers wait for this process, too.  MPI waits by its own rules.

        sample_weight: omega of (13), (n,) or None.  class_weight: a factor of it for every class,
        as a dict {class or its name: weight}, or "balanced", by which all classes weigh the same.

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
        `ModelFileError` for checkpoints that cannot be written, or read; `ClusterError` where no
        worker is left, or a cluster is not to be reached.
        """
        inputs.check_checkpoint(checkpoint, every, resume)
        settings = Settings(
            epochs=epochs,
            batch_size=batch_size,
            shards=(1 if cluster is None else USUAL_SHARDS) if shards is None else shards,
            learning_rate=learning_rate,
            seed=seed,
            optimizer=optimizer,
            schedule=schedule,
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            augmentation=augmentation,
            class_weight=class_weight,
        )
        check_shift(settings.augmentation, self.input_shape)
        if self.epochs + settings.epochs > inputs.MOST_EPOCHS:
            hint = f"a network's life has at most {inputs.MOST_EPOCHS}"
            raise InputError("epochs", epochs, but=f"{self.epochs} are trained", hint=hint)
        threads, name = inputs.as_threads(threads), inputs.as_data_name(data_name, "data_name")
        told = as_callbacks(callbacks)
        if inputs.as_bool(is_interactive() if progress is None else progress, "progress"):
            told = (*told, progress_callback())
        with training_on(cluster, silence, x, y, sample_weight, self.input_shape) as place:
            data = self.samples(
                place.x, place.y, place.sample_weight, class_weight=settings.class_weight
            )
            pair = arrays.as_validation(validation)
            held_out = None if pair is None else self.samples(*pair, name="validation ")
            if held_out is not None:
                check_same_scale(data.images, held_out.images, "x", "validation x")
            self.data, self.scale = name, scale_of(data.images)
            self._keep(settings, told)
            return place.train(
                self,
                data,
                settings,
                threads,
                lambda workers: self._train(
                    data, held_out, settings, told, threads, checkpoint, every, resume, workers
                ),
            )

    def fit_samples(
        self,
        data: Samples,
        validation: Samples | None,
        settings: Settings,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        every: int | None = None,
        resume: bool = False,
    ) -> History:
        """`fit` for samples and settings that are already checked; `scale` stays as it is."""
        check_shift(settings.augmentation, self.input_shape)
        self._keep(settings, callbacks)
        return self._train(
            data, validation, settings, callbacks, threads, checkpoint, every, resume
        )

    def _train(
        self,
        data: Samples,
        validation: Samples | None,
        settings: Settings,
        callbacks: Sequence[Callback],
        threads: int | None,
        checkpoint: str | PathLike[str] | None,
        every: int | None,
        resume: bool,
        workers: Trainer | None = None,
    ) -> History:
        """The loop, with the folder of checkpoints, if there is one."""
        with (
            nullcontext()
            if checkpoint is None
            else Folder(checkpoint, every, resume, data, validation) as folder
        ):
            return training.fit(
                self,
                data,
                validation,
                settings,
                callbacks=callbacks,
                threads=threads,
                checkpoints=folder,
                trainer=workers,
            )

    def _keep(self, settings: Settings, callbacks: Sequence[Callback]) -> None:
        """What the network's file says of its training."""
        patience = [one.patience for one in callbacks if isinstance(one, EarlyStopping)]
        self.settings = replace(settings, patience=patience[0] if patience else None)

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
        class_weight: Any = None,
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
            class_weight=class_weight,
        )
        check_shift(settings.augmentation, self.input_shape)
        threads = inputs.as_threads(threads)
        data = self.samples(x, y, sample_weight, class_weight=settings.class_weight)
        return find_learning_rate(self, data, rates, settings, threads)

    def preview(
        self, x: Any, augmentation: Augmentation | str, *, seed: int = 0, epoch: int = 0
    ) -> Float32:
        """Images as training with this augmentation sees them, the first as sample 0, and so on.

        x (n, rows, columns, channels) -> the same shape, float32, 1 is white.  Raises `InputError`.
        """
        images = arrays.as_images(x, self.input_shape)
        ranges = as_augmentation(augmentation)
        check_shift(ranges, self.input_shape)
        seed, epoch = inputs.as_seed(seed), inputs.as_count(epoch, "epoch", 0)
        if ranges is None:
            return as_floats(images)
        return self.engine.augment(images, ranges, seed, epoch)

    def quantize(
        self, images: Any, count: int = USUAL_COUNT, seed: int = 0, ranges: str = USUAL_RANGES
    ) -> QuantizedNetwork:
        """This network in int8, for small devices (26)-(36) -> a `QuantizedNetwork`.

        images: of training, uint8, or floats that are levels / 255; count of them, drawn by seed,
        show which values each stage has.  ranges: which of these its 256 bytes cover: "maximum" all
        of them, "percentile" all but 1 in 10,000 at each end, "error" what loses the least squared
        error.  The network stays as it is.  Raises `InputError`, also for a network that is not
        finite, was trained on images on another scale, or whose sums could leave int32.
        """
        return quantised(self, images, count, seed, ranges)
