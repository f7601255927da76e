"""How `CNNClassifier` trains: epoch by epoch, with images held out, checkpoints, callbacks."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from convlet import SGD, Callback, CNNClassifier, DivergedError, EarlyStopping, InputError
from convlet.datasets import strata
from made_data import bright_rows

X, Y = bright_rows(60, seed=1)
TEST, Y_TEST = bright_rows(40, seed=2)
NOISE = np.random.default_rng(0).integers(0, 3, 60)  # labels that cannot be learned
LAYERS = "flatten, dense 3, softmax"
OPTIMIZERS = ["sgd", "momentum", "nesterov", "adam", "adamw"]


def pieces(classifier, count, x=X, y=Y):
    for _ in range(count):
        classifier.partial_fit(x, y, classes=[0, 1, 2])
    return classifier


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_epochs_one_by_one_are_the_epochs_of_fit_to_the_last_bit(optimizer):
    given = {"optimizer": optimizer, "random_state": 3, "batch_size": 8}
    whole = CNNClassifier(epochs=4, **given).fit(X, Y)
    parts = pieces(CNNClassifier(**given), 4)
    assert np.array_equal(whole.network_.flat, parts.network_.flat)
    assert whole.loss_curve_ == parts.loss_curve_
    assert parts.n_iter_ == parts.network_.epochs == 4
    assert [row.epoch for row in parts.history_] == [1, 2, 3, 4]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_partial_fit_goes_on_where_fit_ended(optimizer):
    given = {"optimizer": optimizer, "random_state": 3, "batch_size": 8}
    whole = CNNClassifier(epochs=4, **given).fit(X, Y)
    both = pieces(CNNClassifier(epochs=3, **given).fit(X, Y), 1)
    assert np.array_equal(whole.network_.flat, both.network_.flat)


def test_without_its_state_an_optimiser_does_something_else():
    """So that the tests above can fail."""
    classifier = CNNClassifier(epochs=3, random_state=3, batch_size=8).fit(X, Y)
    state = [slot.copy() for slot in classifier._kept.slots]
    assert len(state) == 2
    assert all(slot.any() for slot in state)
    classifier._kept.slots = ()
    pieces(classifier, 1)
    whole = CNNClassifier(epochs=4, random_state=3, batch_size=8).fit(X, Y)
    assert not np.array_equal(classifier.network_.flat, whole.network_.flat)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_pieces_of_other_sizes(optimizer):
    """A smaller piece than the one before is trained, too."""
    classifier = CNNClassifier(LAYERS, optimizer=optimizer, random_state=0)
    pieces(classifier, 1)
    before = classifier.network_.flat.copy()
    classifier.partial_fit(X[:1], Y[:1])  # of one class
    assert not np.array_equal(classifier.network_.flat, before)
    assert classifier.n_iter_ == 2
    assert classifier._kept.updates == 3


def test_a_new_optimiser_begins_anew():
    classifier = pieces(CNNClassifier(LAYERS, random_state=0), 2)
    classifier.set_params(optimizer=SGD(0.5), learning_rate=0.01).partial_fit(X, Y)
    assert len(classifier._kept.slots) == 1
    assert classifier._kept.updates == 2
    assert classifier.n_iter_ == 3


def test_partial_fit_learns_and_keeps_the_first_divisor():
    classifier = CNNClassifier(random_state=0)
    for n in range(40):
        half = slice(n % 2 * 30, n % 2 * 30 + 30)
        classifier.partial_fit(X[half] // (2 if n else 1), Y[half], classes=range(3))
    assert classifier.divisor_ == 255.0
    assert classifier.score(TEST // 2, Y_TEST) > 0.95


FIRST = {
    "no classes": ({}, {"classes": None}, r"classes is None, expected all labels, as in classes="),
    "one class": ({}, {"classes": [4]}, r"classes has 1 class"),
    "a strange label": ({}, {"classes": [0, 1]}, r"y\[\d+\] is 2, expected one of the classes"),
    "a schedule": (
        {"schedule": "one-cycle"}, {}, "schedule is 'one-cycle', but partial_fit does not know how"
    ),
    "a recipe": ({"recipe": "default"}, {}, "recipe is 'default', but partial_fit does not know"),
    "early stopping": ({"early_stopping": True}, {}, "early_stopping is True, but partial_fit"),
    "checkpoints": ({"checkpoint": "run"}, {}, "checkpoint is 'run', but partial_fit does"),
    "balance": (
        {"class_weight": "balanced"}, {}, "class_weight is 'balanced', but partial_fit"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FIRST)
def test_what_a_first_piece_does_not_take(what):
    parameters, given, match = FIRST[what]
    classifier = CNNClassifier(LAYERS, **parameters)
    with pytest.raises(InputError, match=match):
        classifier.partial_fit(X, Y, **{"classes": [0, 1, 2], **given})
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_later_pieces_are_of_the_same_kind():
    classifier = pieces(CNNClassifier(LAYERS, random_state=0), 1)
    before = classifier.predict_proba(TEST)
    with pytest.raises(InputError, match=r"classes is \[0, 1\], expected those of the first call"):
        classifier.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(InputError, match="X has images of shape"):
        classifier.partial_fit(X.reshape(60, 4, 9), Y)
    with pytest.raises(ValueError, match="X has 6 features"):
        classifier.partial_fit(X[:, 0, :, 0], Y)
    assert np.array_equal(classifier.predict_proba(TEST), before)


def test_weights_of_a_piece():
    weighted = CNNClassifier(LAYERS, random_state=0)
    weighted.partial_fit(X, Y, classes=[0, 1, 2], sample_weight=1.0 * (Y != 1))
    without = CNNClassifier(LAYERS, random_state=0)
    without.partial_fit(X[Y != 1], Y[Y != 1], classes=[0, 1, 2])
    assert np.array_equal(weighted.network_.flat, without.network_.flat)


def test_early_stopping_holds_out_a_share_of_each_class():
    seen = {}

    class Look(Callback):
        def on_begin(self, run):
            seen.update(samples=run.samples, validated=run.validated)

    classifier = CNNClassifier(
        random_state=5, early_stopping=2, validation_fraction=0.25, epochs=100, callbacks=[Look()]
    ).fit(X, NOISE)
    assert seen == {"samples": 45, "validated": True}
    losses = [row.validation_loss for row in classifier.history_]
    assert classifier.n_iter_ < 100
    assert min(losses) == losses[-3]  # the best, and two epochs of patience
    held = strata.chosen(NOISE, 15, seed=5)
    assert classifier.network_.settings.patience == 2
    evaluated = classifier.network_.evaluate(X[held], NOISE[held])
    assert evaluated.loss == pytest.approx(min(losses), abs=1e-9)  # its weights are back


def test_true_is_a_patience_of_five():
    stopped = CNNClassifier(random_state=5, early_stopping=True, epochs=3).fit(X, Y)
    assert stopped.network_.settings.patience == EarlyStopping().patience == 5


def test_given_validation_is_evaluated_and_watched():
    classifier = CNNClassifier(random_state=0, epochs=3).fit(X, Y, X_val=TEST, y_val=Y_TEST)
    last = classifier.history_[-1]
    assert last.validation_accuracy == classifier.score(TEST, Y_TEST)
    watched = CNNClassifier(random_state=0, epochs=60, early_stopping=1)
    watched.fit(X, Y, X_val=TEST[..., 0].astype(float), y_val=NOISE[:40])
    assert watched.n_iter_ < 60
    assert watched.history_[0].train_loss == classifier.history_[0].train_loss


def test_few_rows_around_zero_are_held_out_without_a_complaint():
    """The held-out ones may all be positive, which is no other scale."""
    x = np.linspace(-1, 3, 20)[:, None]
    for seed in range(10):
        CNNClassifier(epochs=1, early_stopping=1, random_state=seed).fit(x, x[:, 0] > 1)


def test_checkpoints_and_resuming_give_the_bits_of_one_run(tmp_path):
    given = {"epochs": 4, "random_state": 0, "checkpoint": str(tmp_path / "run")}
    whole = CNNClassifier(**{**given, "checkpoint": None}).fit(X, Y)
    CNNClassifier(**{**given, "epochs": 2}).fit(X, Y)
    with pytest.raises(InputError, match="holds a run already"):
        CNNClassifier(**given).fit(X, Y)
    with pytest.raises(InputError, match=r"^random_state is 1, but .* is of a run with 0"):
        CNNClassifier(**{**given, "random_state": 1}, resume=True).fit(X, Y)
    with pytest.raises(InputError, match=r"^X is 60 images"):
        CNNClassifier(**given, resume=True).fit(X // 2, Y)
    resumed = CNNClassifier(**given, resume=True).fit(X, Y)
    assert np.array_equal(resumed.network_.flat, whole.network_.flat)
    assert resumed.loss_curve_ == whole.loss_curve_
    further = [pieces(one.set_params(checkpoint=None, resume=False), 1) for one in (resumed, whole)]
    assert np.array_equal(*(one.network_.flat for one in further))


def test_what_ends_training_leaves_what_was_learned():
    class Enough(Callback):
        def on_epoch(self, run, row):
            if row.epoch == 2:
                raise KeyboardInterrupt

    classifier = CNNClassifier(random_state=0, epochs=5, callbacks=[Enough()])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, Y)
    assert classifier.n_iter_ == 2
    assert classifier.predict(TEST).shape == (40,)
    diverging = CNNClassifier(optimizer="sgd", learning_rate=1e6, random_state=0)
    with pytest.raises(DivergedError):
        diverging.fit(X, Y)


def test_callbacks_and_lines(capsys):
    class Count(Callback):
        epochs = 0

        def on_epoch(self, run, row):
            self.epochs += 1

    count = Count()
    CNNClassifier(LAYERS, epochs=3, callbacks=[count]).fit(X, Y)
    assert count.epochs == 3
    assert capsys.readouterr().out == ""
    CNNClassifier(LAYERS, epochs=3, verbose=1).fit(X, Y)
    assert capsys.readouterr().out.splitlines()[2].startswith("epoch 3/3, training loss")


def test_a_subclass_may_have_fewer_parameters():
    class Small(CNNClassifier):
        def __init__(self, epochs=2, random_state=0):
            self.epochs = epochs
            self.random_state = random_state

    small = Small().fit(X, Y)
    whole = CNNClassifier(epochs=2, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(small.predict_proba(X), whole.predict_proba(X))


def test_pieces_go_on_with_the_network_that_was_begun(tmp_path):
    classifier = CNNClassifier(LAYERS, random_state=0)
    classifier.partial_fit(X, Y, classes=np.unique(Y))
    classifier.save(tmp_path / "c.safetensors")
    for one in (classifier, CNNClassifier.load(tmp_path / "c.safetensors")):
        one.partial_fit(X, Y)
        for name, value in (("layers", "auto"), ("image_shape", (1, X[0].size))):
            before = one.get_params()[name]
            with pytest.raises(InputError, match=f"{name} is .*was begun with .*: call fit, or"):
                one.set_params(**{name: value}).partial_fit(X, Y)
            one.set_params(**{name: before})


def test_a_piece_on_another_scale_is_warned_of():
    classifier = CNNClassifier(random_state=0).partial_fit(X, Y, classes=np.unique(Y))
    with pytest.warns(UserWarning, match="X is on another scale than in training"):
        classifier.partial_fit(X / 255, Y)


def test_images_with_more_axes_are_refused_by_their_number():
    with pytest.raises(InputError, match=r"X has 5 axes, expected \(n, features\), \(n, rows, col"):
        CNNClassifier().fit(np.zeros((4, 2, 2, 1, 1)), [0, 1, 0, 1])
