"""What pages ask of the network and the data, answered as JSON."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from convlet import inputs
from convlet.augmentation import as_changes
from convlet.engine import as_floats
from convlet.equations import Array
from convlet.errors import InputError
from convlet.explaining import explain
from convlet.network import Network
from convlet.server.description import Json, label_of
from convlet.server.driver import ConflictError
from convlet.server.own import OwnImage, of_drawing, of_file
from convlet.server.proposals import Proposal, proposed, size_of
from convlet.server.session import Session
from convlet.server.wire import MOST_NUMBERS, array, encoded, pixels

MOST_IMAGES = 200
MOST_CHANGED = 24
MOST_STEPS = 1000
MOST_ITEMS = 64


def images(session: Session, part: Any, start: Any, count: Any, label: Any) -> Json:
    """Images of a part from a place on, those of one label only where one is given."""
    start = inputs.as_count(start, "start", 0)
    count = inputs.as_count(count, "count", 1, MOST_IMAGES)
    if part == "own":
        return _own_images(session, start, count, label)
    found = session.part(part)
    rows = np.arange(len(found))
    if label is not None:
        label = inputs.as_count(label, "label", 0, session.network.class_count - 1)
        rows = np.flatnonzero(found.labels == label)
    total = len(rows)
    rows = rows[start : start + count]
    return {
        "images": [
            {
                "ref": {"part": part, "index": int(n)},
                "label": label_of(found.labels[n]),
                "name": None if found.names is None else found.names[n],
                "pixels": encoded(_shown(session, np.asarray(found.images[n]))),
            }
            for n in rows
        ],
        "shape": list(session.network.input_shape),
        "total": total,
    }


def _own_images(session: Session, start: int, count: int, label: Any) -> Json:
    """The visitor's own that are kept, the oldest first."""
    if label is not None:
        raise InputError("label", label, but="images of one's own have none")
    kept = session.own.kept()
    return {
        "images": [
            {
                "ref": {"part": "own", "index": number},
                "label": None,
                "name": None,
                "pixels": encoded(_shown(session, image)),
            }
            for number, image in kept[start : start + count]
        ],
        "shape": list(session.network.input_shape),
        "total": len(kept),
    }


def _shown(session: Session, image: Array) -> Any:
    return pixels(image, (0.0, 1.0) if session.data is None else session.data.levels)


def augmented(session: Session, given: Mapping[str, Any]) -> Json:
    """Images as training sees them with an augmentation."""
    changes = as_changes(given.get("augmentation"))
    refs = _list(given.get("refs"), "refs", MOST_CHANGED)
    seed = inputs.as_seed(given.get("seed", 0))
    epoch = inputs.as_count(given.get("epoch", 0), "epoch", 0)
    found = np.stack([as_floats(session.image(ref)[0]) for ref in refs])
    with session.still() as network:
        changed = network.preview(found, changes, seed=seed, epoch=epoch)
    return {
        "images": [
            {"ref": ref, "pixels": encoded(_shown(session, image))}
            for ref, image in zip(refs, changed, strict=True)
        ],
        "shape": list(session.network.input_shape),
    }


def _list(value: Any, name: str, most: int) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise InputError(name, value, f"a list of 1 to {most}")
    return value


def own_file(session: Session, data: bytes) -> Json:
    """An image file that becomes one of the visitor's own, and what the network says of it."""
    return _own(session, of_file(data, session.network), True)


def own_drawing(session: Session, given: dict[str, Any]) -> Json:
    """What the network says of a drawing.

    keep: it becomes one of the visitor's own; while a line grows, nothing is kept of its pictures.
    """
    keep = inputs.as_bool(given.get("keep", False), "keep")
    return _own(session, of_drawing(given, session.network), keep)


def _own(session: Session, own: OwnImage, keep: bool) -> Json:
    with session.still() as network:
        probabilities = network.predict_proba(own.image[None])[0]
    number = session.own.add(own) if keep else None
    return {
        "ref": None if number is None else {"part": "own", "index": number},
        "pixels": encoded(_shown(session, own.image)),
        "shape": list(own.image.shape),
        "said": own.said,
        "probabilities": probabilities.tolist(),
    }


def _label(session: Session, given: Any, known: int | None) -> int | None:
    if given is None:
        return known
    return inputs.as_count(given, "label", 0, session.network.class_count - 1)


def _refuse_large(network: Network) -> None:
    numbers = size_of(network.stages)
    if numbers > MOST_NUMBERS:
        expected = f"at most {MOST_NUMBERS:,} to be shown"
        found = f"leaves {numbers:,} numbers for one image"
        raise InputError("network", found=found, expected=expected)


def forward(session: Session, given: Mapping[str, Any]) -> Json:
    """x^0, and what every stage makes of it; the last that one gives is the next one's x."""
    image, known = session.image(given.get("ref"))
    label = _label(session, given.get("label"), known)
    with session.still() as network:
        _refuse_large(network)
        found = network.activations(image[None])
        cost = None if label is None else network.evaluate(image[None], np.array([label])).loss
    return {
        "ref": given.get("ref"),
        "label": label,
        "probabilities": found[-1].output[0].tolist(),
        "cost": cost,
        "x": array(found[0].x[0]),
        "stages": [
            {
                "z": array(stage.z[0]),
                "outputs": [array(each[0]) for each in stage.outputs],
            }
            for stage in found
        ],
    }


def backward(session: Session, given: Mapping[str, Any]) -> Json:
    """The errors of every stage for an image and its label, and its gradient by each parameter.

    x: the error of the image; that of another stage's x is the last of the stage before.
    weights: names of parameters whose whole derivative is asked for.
    """
    image, known = session.image(given.get("ref"))
    label = _needed(_label(session, given.get("label"), known))
    names = given.get("weights", [])
    if not isinstance(names, list):
        raise InputError("weights", names, "a list of names, as in ['w0']")
    with session.still() as network:
        _refuse_large(network)
        for name in names:
            _parameter(network, name)
        x, y = image[None], np.array([label])
        errors, gradient = network.errors(x, y), network.gradients(x, y)
        cost = network.evaluate(x, y).loss
    return {
        "ref": given.get("ref"),
        "label": label,
        "cost": cost,
        "x": array(errors[0].x[0]),
        "stages": [
            {
                "delta": array(stage.delta[0]),
                "outputs": [array(each[0]) for each in stage.outputs],
            }
            for stage in errors
        ],
        "gradient": {
            name: {"norm": float(np.linalg.norm(values.astype(np.float64)))}
            | ({"values": array(values)} if name in names else {})
            for name, values in gradient.items()
        },
    }


def explained(session: Session, given: Mapping[str, Any]) -> Json:
    """One number, as `convlet.explain` tells it."""
    image, known = session.image(given.get("ref"))
    label = _label(session, given.get("label"), known)
    differences = inputs.as_bool(given.get("differences", False), "differences")
    what: Any = given.get("what")
    rate = session.plan.settings.learning_rate
    network = session.taken()
    _refuse_large(network)
    return explain(network, image, label, what, differences, learning_rate=rate).as_json()


def _needed(label: int | None) -> int:
    if label is None:
        raise InputError("label", None, "a class, counted from 0", "say what the image is")
    return label


def weights(session: Session, name: Any) -> Json:
    """One parameter."""
    with session.still() as network:
        return array(_parameter(network, name))


def _parameter(network: Network, name: Any) -> Array:
    parameters = network.parameters
    if not isinstance(name, str) or name not in parameters:
        raise InputError("name", name, f"one of: {', '.join(parameters)}")
    found = parameters[name]
    if prod(found.shape) > MOST_NUMBERS:
        raise InputError("name", name, f"a parameter of at most {MOST_NUMBERS:,} numbers")
    return found


def check(session: Session, given: Mapping[str, Any]) -> Proposal:
    """What these settings would make."""
    return proposed(given, session.plan, session.network, session.data)


def learn(session: Session, given: Mapping[str, Any]) -> Json:
    """Train on labelled images, and what the network says of them then."""
    items = _list(given.get("items"), "items", MOST_ITEMS)
    steps = inputs.as_count(given.get("steps", 10), "steps", 1, MOST_STEPS)
    found, labels = [], []
    for item in items:
        ref = item.get("ref") if isinstance(item, dict) else None
        image, known = session.image(ref)
        label = _label(session, item.get("label"), known)
        found.append(as_floats(image))
        labels.append(_needed(label))
    x = np.stack(found)
    if x.shape[1:] != session.network.input_shape:
        raise ConflictError("these images are of another network")
    done = session.driver.learn(x, np.array(labels, np.int32), steps)
    with session.still() as network:
        done["probabilities"] = network.predict_proba(x).tolist()
    return done
