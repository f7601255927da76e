"""Chains as ONNX files, in both layouts: the network has the model's probabilities."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from brought_in import assert_same, network_in
from chains import chains
from convlet import ModelFileError
from convlet.interchange import chain
from onnx_models import FIRST, LAST, model_of

SHOW_CHANNELS = {chain.Conv, chain.MaxPool, chain.AveragePool, chain.GlobalAveragePool}
SAME_FOLDER = [HealthCheck.function_scoped_fixture]  # each example writes its file anew


@pytest.mark.parametrize("layout", [FIRST, LAST])
@given(found=chains())
@settings(max_examples=100, suppress_health_check=SAME_FOLDER)
def test_any_chain_in_a_file_gives_the_same_probabilities(layout, found, tmp_path):
    rows, columns, channels = found.input_shape
    kinds = {type(step) for step in found.steps}
    assume(not rows == columns == channels or kinds & SHOW_CHANNELS)
    shape = found.input_shape
    assert_same(model_of(found, layout), tmp_path, layout, input_shape=shape, white=1)


def test_images_as_wide_as_they_have_channels_are_refused_where_nothing_tells_them(tmp_path):
    dense = chain.Dense("dense", np.eye(27)[:, :3])
    for layout, order in ((FIRST, "chw"), (LAST, "hwc")):
        steps = [chain.Flatten("flat", order), dense]
        with pytest.raises(ModelFileError, match="3x3x3, and does not show where their channels"):
            network_in(model_of(chain.Chain((3, 3, 3), steps), layout), tmp_path)
