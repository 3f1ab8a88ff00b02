"""A graph of a network for clouds gives what the run gives, from points in any unit."""

import numpy as np
import pytest

import kontrast as kt
from kontrast.exports.exporting import export
from tests.support.clouds import body
from tests.support.cosines import least_cosine
from tests.support.settings import FAST

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("encoder", ["pointnet", "dgcnn"])
def test_onnx_takes_the_points_of_clouds(tmp_path, encoder):
    onnxruntime = pytest.importorskip("onnxruntime")
    data = {"shape": [body(row, points=80) for row in range(24)]}
    small = {"encoders.points.base": 4, "encoders.points.out": 8, "tasks.contrast.width": 8}
    settings = {**FAST, "plan.batch": 12, **small}
    run = kt.train(data, encoders={"points": encoder}, steps=2, out=tmp_path / "run", settings=settings)
    made = export(run, "onnx", tmp_path / "out", data=data)
    session = onnxruntime.InferenceSession(made.folder / "model.onnx")
    (given,) = session.get_inputs()
    assert given.shape[1:] == [80, 3]
    (z,) = session.run(None, {"points": 100 + 7 * np.stack(data["shape"][:5])})
    assert least_cosine(z, run.embed({"shape": data["shape"][:5]}).z["shape"]) > 0.999
