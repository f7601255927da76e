"""What the parameters of the library are called on the command line."""

from collections.abc import Mapping

import click

from convlet.layers import KINDS

_OPTIONS = (
    "arduino",
    "arena",
    "as_is",
    "batch_size",
    "calibration_seed",
    "checkpoint",
    "class_weight",
    "clip_norm",
    "cluster",
    "colour",
    "count",
    "dtype",
    "engine",
    "epochs",
    "every",
    "expose",
    "fit",
    "folds",
    "grid",
    "group_by",
    "header",
    "history",
    "hold_out",
    "host",
    "image",
    "input",
    "label",
    "label_smoothing",
    "labels",
    "layers",
    "learning_rate",
    "least",
    "limit",
    "max_flash",
    "max_ram",
    "momentum",
    "most",
    "name",
    "optimizer",
    "out",
    "patience",
    "picture",
    "port",
    "prepare",
    "preview",
    "ranges",
    "recipe",
    "schedule",
    "seed",
    "seeds",
    "selftest",
    "shards",
    "size",
    "skip_damaged",
    "steps",
    "tensorboard",
    "test_share",
    "threads",
    "top",
    "weight_decay",
    "white",
    "workers",
)
_TRAINED_WITH = "which --limit, --hold-out and --seed choose"

NAMES: Mapping[str, str] = {
    **{name: f"--{name.replace('_', '-')}" for name in _OPTIONS},
    "augmentation": "--augment",
    "resume=True": "--resume",
    "resume": "--resume",
    "optimizer.momentum": "--momentum",
    "optimizer.weight_decay": "--weight-decay",
    # of their parts there is no option
    "Augmentation": "--augment",
    **{kind.__name__: f"--layers: {kind.form.name}" for kind in KINDS},
    "StepDecay": "--schedule",
    "Cosine": "--schedule",
    "OneCycle": "--schedule",
    "WarmUp": "--schedule",
    # arguments
    "data": "DATA",
    "name_or_path": "DATA",
    "input_shape": "DATA (size of an image)",
    "classes": "DATA (names of the classes)",
    "x": f"DATA (images to train with, {_TRAINED_WITH})",
    "y": f"DATA (labels to train with, {_TRAINED_WITH})",
    "validation x": f"DATA (images to validate with, {_TRAINED_WITH})",
    "validation y": f"DATA (labels to validate with, {_TRAINED_WITH})",
    "file": "FILE",
    "images": "IMAGE",
    "csv": "--csv",
    "json": "--json",
    "invert": "--invert",
    "kind": "KIND",
    "model": "MODEL",
    "model_file": "--model",
    "network": "MODEL",
}
"""A parameter, a class that owns parameters, or a value -> the option or argument of it."""


def call(**names: str) -> None:
    """Until the command ends, errors call these parameters so."""
    click.get_current_context().obj.update(names)
