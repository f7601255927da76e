"""The callbacks of scikit-learn, which it has since 1.9, are told of every epoch."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from convlet import Callback, CNNClassifier
from made_data import bright_rows

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has them since 1.9")
X, Y = bright_rows(60, seed=1)
TEST, _ = bright_rows(40, seed=2)


class Heard:
    """A callback of scikit-learn that writes down what it is told."""

    def __init__(self, stop_after=None):
        self.told, self.scores, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.told.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata, fitted_estimator):
        self.told.append(f"end {context.task_name} {context.task_id}")
        self.metadata = metadata
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.predict_proba(TEST))
        return context.task_id == self.stop_after


def test_callbacks_of_scikit_learn():
    heard = Heard()
    classifier = CNNClassifier(random_state=0, epochs=2).set_callbacks(heard)
    classifier.fit(X, Y, sample_weight=np.ones(60))
    assert heard.told == [
        "setup", "begin fit 0", "begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1",
        "end fit 0", "teardown",
    ]  # fmt: skip
    one = CNNClassifier(random_state=0, epochs=1).fit(X, Y)
    assert np.array_equal(heard.scores[0], one.predict_proba(TEST))
    assert np.array_equal(heard.scores[1], classifier.predict_proba(TEST))
    assert list(heard.metadata) == ["sample_weight"]


def test_a_callback_of_scikit_learn_may_end_training():
    heard = Heard(stop_after=1)
    classifier = CNNClassifier(random_state=0, epochs=9).set_callbacks(heard).fit(X, Y)
    assert classifier.n_iter_ == 2
    assert heard.told[-3:] == ["end epoch 1", "end fit 0", "teardown"]


def test_after_an_error_they_are_told_of_the_end_only():
    class Break(Callback):
        def on_progress(self, run):
            raise RuntimeError

    heard = Heard()
    with pytest.raises(RuntimeError):
        CNNClassifier(callbacks=[Break()]).set_callbacks(heard).fit(X, Y)
    assert heard.told == ["setup", "begin fit 0", "begin epoch 0", "teardown"]


def test_the_monitor_of_scikit_learn_scores_every_epoch():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = CNNClassifier(random_state=0, epochs=3).set_callbacks(monitor).fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    parts = CNNClassifier(random_state=0)
    expected = [parts.partial_fit(X, Y, classes=range(3)).score(X, Y) for _ in range(3)]
    assert scores == expected
    assert expected[-1] == classifier.score(X, Y)


def test_they_come_down_from_a_search():
    heard = Heard()
    search = GridSearchCV(CNNClassifier("flatten, dense 3, softmax", epochs=1), {}, cv=2)
    search.set_callbacks(Passed(heard)).fit(X, Y)
    assert heard.told.count("end epoch 0") == 3  # of two folds, and of all


class Passed(Heard):
    """One that a search hands on to what it fits."""

    max_propagation_depth = None

    def __init__(self, heard):
        super().__init__()
        self.told, self.scores = heard.told, heard.scores
