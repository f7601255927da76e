"""`Settings`: how a call of `fit` trains.  Every value of them is checked here, and only here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from convlet.augmentation import Augmentation, as_augmentation
from convlet.balance import ClassWeight, as_class_weight, described
from convlet.errors import InputError, Name
from convlet.inputs import as_count, as_limit, as_number_below, as_rate, as_seed
from convlet.layers import Layer
from convlet.optimizers import BY_NAME, SGD, Optimizer, as_optimizer
from convlet.schedules import SCHEDULES, Constant, Schedule, as_schedule
from convlet.text import format_dropout
from convlet.wording import count

MOST_SHARDS = 4096
"""Of a minibatch; native/kernels.h has the same number."""


@dataclass(frozen=True)
class Settings:
    """How a call of `fit` trains; with the data and the network this decides every bit.

    The fields are the arguments of `Network.fit` of the same names, in their normal form.  Raises
    `InputError` for a value that is none of theirs.
    """

    epochs: int = 5
    batch_size: int = 32
    shards: int = 1  # of every minibatch; their sums meet along a tree, and so decide the bits
    learning_rate: float = None  # type: ignore[assignment]  # None is the optimiser's usual one
    seed: int = 0
    optimizer: Optimizer = field(default_factory=SGD)
    schedule: Schedule = field(default_factory=Constant)
    clip_norm: float | None = None  # the greatest norm of the gradient of a step
    label_smoothing: float = 0.0
    augmentation: Augmentation | None = None
    class_weight: ClassWeight | None = None
    patience: int | None = None  # of `EarlyStopping` among the callbacks: told, no argument of fit

    if TYPE_CHECKING:  # what a caller may give; the fields hold its normal form

        def __init__(
            self,
            epochs: int = 5,
            batch_size: int = 32,
            shards: int = 1,
            learning_rate: float | None = None,
            seed: int = 0,
            optimizer: Optimizer | str = "sgd",
            schedule: Schedule | str = "constant",
            clip_norm: float | None = None,
            label_smoothing: float = 0.0,
            augmentation: Augmentation | str | None = None,
            class_weight: Any = None,
            patience: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._set("epochs", as_count(self.epochs, "epochs"))
        self._set("batch_size", as_count(self.batch_size, "batch_size"))
        self._set("shards", as_count(self.shards, "shards", 1, MOST_SHARDS))
        if self.shards > self.batch_size:
            but = f"a minibatch has {count(self.batch_size, 'image')}"
            hint = ("take fewer, or a larger ", Name("batch_size"))
            raise InputError("shards", self.shards, but=but, hint=hint)
        self._set("optimizer", as_optimizer(self.optimizer))
        if self.learning_rate is None:
            self._set("learning_rate", self.optimizer.usual_rate)
        self._set("learning_rate", as_rate(self.learning_rate))
        self._set("seed", as_seed(self.seed))
        self._set("schedule", as_schedule(self.schedule))
        self._set("clip_norm", as_limit(self.clip_norm, "clip_norm", 1e9))
        smoothing = as_number_below(self.label_smoothing, "label_smoothing", 0, 1)
        self._set("label_smoothing", smoothing)
        self._set("augmentation", as_augmentation(self.augmentation))
        self._set("class_weight", as_class_weight(self.class_weight))
        if self.patience is not None:
            self._set("patience", as_count(self.patience, "patience"))

    def but(self, **given: Any) -> "Settings":
        """These with other values, as `settings_but`."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return settings_but(values, self.optimizer, given)

    def arguments(self) -> dict[str, Any]:
        """Of `Network.fit`."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "patience"}

    def described(self, layers: Sequence[Layer]) -> dict[str, str]:
        """How these layers are trained, in words; what is off is not there."""
        dropout = format_dropout(layers)
        words = {
            "optimizer": str(self.optimizer),
            "learning rate": f"{self.learning_rate:g}, {self.schedule}",
        }
        if self.clip_norm is not None:
            words["clipping"] = f"gradients to a norm of {self.clip_norm:g}"
        if dropout:
            words["dropout"] = dropout
        if self.label_smoothing:
            words["label smoothing"] = f"{self.label_smoothing:g}"
        if self.augmentation is not None:
            words["augmentation"] = str(self.augmentation)
        if self.class_weight is not None:
            words["class weights"] = described(self.class_weight)
        if self.shards > 1:
            words["shards"] = f"{self.shards} a minibatch"
        if self.patience is not None:
            words["patience"] = f"{count(self.patience, 'epoch')} without a lower validation loss"
        return words

    def record(self) -> dict[str, Any]:
        """JSON values by name, which `read_record` reads; augmentation and names are texts.

        The fields of an optimiser or a schedule stand beside its name, as optimizer.momentum.
        """
        found: dict[str, Any] = {}
        # the rate comes last: where nobody chose it, it follows from the optimiser
        for one in sorted(fields(self), key=lambda one: one.name == "learning_rate"):
            name, value = one.name, getattr(self, one.name)
            if isinstance(value, Augmentation):
                found[name] = None if str(value) == "none" else str(value)
            elif isinstance(value, Optimizer | Schedule):
                found[name] = value.name
                found |= {f"{name}.{inner}": number for inner, number in asdict(value).items()}
            else:  # pairs as JSON has them
                found[name] = [*map(list, value)] if isinstance(value, tuple) else value
        return found

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def settings_but(
    values: Mapping[str, Any], optimizer: Optimizer, given: Mapping[str, Any]
) -> Settings:
    """The settings of these values, with others in the place of some, which nobody checks then.

    A rate is for its own optimiser, the one of the values: another one has its usual rate unless
    one is given.  Raises `InputError`.
    """
    own = as_optimizer(given.get("optimizer", optimizer)).usual_rate == optimizer.usual_rate
    rate: dict[str, Any] = {} if own else {"learning_rate": None}
    return Settings(**{**values, **rate, **given})


def read_record(found: Mapping[str, Any]) -> Settings:
    """The settings of a `Settings.record` from a file.  Raises `ValueError`, whatever is wrong."""
    kinds: dict[str, type[Any]] = {one.name: type(one) for one in BY_NAME.values()} | SCHEDULES
    values: dict[str, Any] = {}
    try:
        for one in fields(Settings):
            if one.name == "shards" and one.name not in found:  # a file from before there were any
                continue
            value, inside = found[one.name], f"{one.name}."
            inner = {k.removeprefix(inside): v for k, v in found.items() if k.startswith(inside)}
            is_kind = isinstance(value, str) and value in kinds
            values[one.name] = kinds[value](**inner) if is_kind else value
        return Settings(**values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no settings of fit: {error}") from error
