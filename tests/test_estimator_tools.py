"""`CNNClassifier` inside the tools of scikit-learn, joblib and Dask."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

import children
from convlet import CNNClassifier
from convlet.estimator import choices
from made_data import bright_rows

X, Y = bright_rows(120, seed=1)
ROWS = X.reshape(120, 36)
TEST, Y_TEST = bright_rows(60, seed=2)
TEST_ROWS = TEST.reshape(60, 36)


def quick(**given) -> CNNClassifier:
    return CNNClassifier(**{"epochs": 12, "random_state": 0, **given})


def test_a_pipeline_of_tables():
    for scaler in (MinMaxScaler(), StandardScaler()):
        pipeline = make_pipeline(scaler, quick()).fit(ROWS, Y)
        assert pipeline.score(TEST_ROWS, Y_TEST) > 0.9


def inverted(images):
    return 255 - images


def test_a_pipeline_of_images():
    pipeline = make_pipeline(FunctionTransformer(inverted), quick()).fit(X, Y)
    assert pipeline[-1].image_shape_ == (6, 6, 1)
    assert pipeline.score(TEST, Y_TEST) > 0.9
    by_hand = quick().fit(255 - X, Y)
    assert np.array_equal(pipeline.predict_proba(TEST), by_hand.predict_proba(255 - TEST))


def test_a_pipeline_prepares_the_validation_images_too():
    with sklearn.config_context(enable_metadata_routing=True):
        last = quick(epochs=2).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(MinMaxScaler(), last, transform_input=["X_val"])
        pipeline.fit(ROWS, Y, X_val=TEST_ROWS, y_val=Y_TEST)
        accuracy = pipeline[-1].history_[-1].validation_accuracy
        assert accuracy == pipeline.score(TEST_ROWS, Y_TEST)


def test_routed_weights_reach_training_in_every_fold():
    weight = np.where(Y == 2, 0.0, 1.0)
    weight[:6] = 1
    with sklearn.config_context(enable_metadata_routing=True):
        asking = quick(epochs=2).set_fit_request(sample_weight=True)
        search = GridSearchCV(asking.set_score_request(sample_weight=True), {}, cv=2)
        search.fit(X, Y, sample_weight=weight)
        found = search.best_estimator_.network_.flat
    assert np.array_equal(found, quick(epochs=2).fit(X, Y, sample_weight=weight).network_.flat)
    assert not np.array_equal(found, quick(epochs=2).fit(X, Y).network_.flat)


def test_a_grid_search_in_two_processes():
    grid = {"learning_rate": [1e-5, 0.003], "batch_size": [8, 32]}
    search = GridSearchCV(quick(), grid, cv=3, n_jobs=2).fit(X, Y)
    alone = GridSearchCV(quick(), grid, cv=3).fit(X, Y)
    assert np.array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert search.best_params_["learning_rate"] == 0.003
    assert search.score(TEST, Y_TEST) > 0.9


def test_a_halving_search_in_two_processes():
    chosen = {"learning_rate": [1e-5, 0.003], "optimizer": ["adam", "nesterov"]}
    search = HalvingRandomSearchCV(
        quick(batch_size=8), chosen, n_candidates=4, cv=2, n_jobs=2, random_state=0
    ).fit(X, Y)
    assert search.best_params_["learning_rate"] == 0.003
    assert search.n_iterations_ >= 2


def test_cross_validation():
    scores = cross_val_score(quick(), X, [f"row {k}" for k in Y], cv=4)
    assert scores.shape == (4,)
    assert scores.min() > 0.9
    log_loss = cross_val_score(quick(), ROWS, Y, cv=4, scoring="neg_log_loss")
    assert log_loss.mean() > -0.3
    ranked = cross_val_score(quick(), ROWS, Y == 1, cv=4, scoring="roc_auc")
    assert ranked.min() > 0.9


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(method):
    calibrated = CalibratedClassifierCV(quick(), method=method, cv=2).fit(ROWS, Y)
    probabilities = calibrated.predict_proba(TEST_ROWS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert calibrated.score(TEST_ROWS, Y_TEST) > 0.9


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_votes(voting):
    members = [("network", quick()), ("neighbours", KNeighborsClassifier())]
    votes = VotingClassifier(members, voting=voting).fit(ROWS / 255, Y)
    assert votes.score(TEST_ROWS / 255, Y_TEST) > 0.9
    if voting == "soft":
        mean = sum(one.predict_proba(TEST_ROWS / 255) for one in votes.estimators_) / 2
        np.testing.assert_allclose(votes.predict_proba(TEST_ROWS / 255), mean)


def test_importance_of_single_pixels():
    """Those of the rows 0, 2 and 4 tell the class."""
    classifier = quick(epochs=30).fit(ROWS, Y)
    found = permutation_importance(classifier, TEST_ROWS, Y_TEST, n_repeats=3, random_state=0)
    by_row = found.importances_mean.reshape(6, 6).sum(axis=1)
    assert by_row[[0, 2, 4]].sum() >= by_row[[1, 3, 5]].sum()


def test_importance_of_blocks_of_pixels():
    """The columns that are permuted stand for rows of the image, which a step puts in."""
    classifier = quick(epochs=30).fit(X, Y)

    def assembled(numbers):
        """Row r of image n is that of the image whose number stands in column r."""
        return TEST[numbers, np.arange(6)]

    blocks = make_pipeline(FunctionTransformer(assembled), classifier)
    numbers = np.repeat(np.arange(60)[:, None], 6, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # older ones want a fit of the first step
        found = permutation_importance(blocks, numbers, Y_TEST, n_repeats=5, random_state=0)
    assert found.importances_mean[[0, 2, 4]].min() > 0.1
    assert np.abs(found.importances_mean[[1, 3, 5]]).max() < 0.1


@pytest.mark.parametrize("copied", [clone, pickle, joblib])
def test_copies(copied, tmp_path):
    classifier = quick(optimizer="momentum").fit(X, Y)
    if copied is clone:
        other = clone(classifier).fit(X, Y)
    elif copied is pickle:
        other = pickle.loads(pickle.dumps(classifier))
    else:
        joblib.dump(classifier, tmp_path / "classifier.joblib")
        other = joblib.load(tmp_path / "classifier.joblib", mmap_mode="r")
    assert np.array_equal(other.predict_proba(TEST), classifier.predict_proba(TEST))
    if copied is not joblib:  # a map of a file cannot be trained
        for one in (classifier, other):
            one.partial_fit(X[:50], Y[:50])
        assert np.array_equal(other.network_.flat, classifier.network_.flat)


def threads(n_jobs):
    return choices.threads_of(n_jobs)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_a_worker_of_joblib_has_one_thread(backend):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        asked = [None, 2, -1, 8]
        assert joblib.Parallel()(joblib.delayed(threads)(n) for n in asked) == [1, 1, 1, 1]
    assert choices.threads_of(2) == 2


DASK = """
import warnings
warnings.simplefilter("ignore")
import joblib
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV, cross_val_score
from convlet import CNNClassifier
from convlet.estimator.choices import threads_of
from made_data import bright_rows

if __name__ == "__main__":
    x, y = bright_rows(60)
    grid = GridSearchCV(CNNClassifier(epochs=3, random_state=0), {"batch_size": [8, 32]}, cv=2)
    alone = grid.fit(x, y).cv_results_["mean_test_score"]
    weights = grid.best_estimator_.network_.flat.tobytes()
    scores = cross_val_score(CNNClassifier(epochs=3, random_state=0), x, y, cv=3)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        found = grid.fit(x, y).cv_results_["mean_test_score"]
        print(len(client.scheduler_info()["workers"]), (found == alone).all())
        again = cross_val_score(CNNClassifier(epochs=3, random_state=0), x, y, cv=3)
        print((again == scores).all(), grid.best_estimator_.network_.flat.tobytes() == weights)
        print(joblib.Parallel()(joblib.delayed(threads_of)(n) for n in (None, 2)))
"""


def test_a_cluster_of_two_processes_of_dask(tmp_path):
    """In a process of its own, with which the workers end."""
    script = tmp_path / "search.py"
    script.write_text(DASK)
    done = children.python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert done.stdout == "2 True\nTrue True\n[1, 1]\n", done.stdout + done.stderr
    assert done.returncode == 0
