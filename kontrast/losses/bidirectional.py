"""Both directions of a comparison between two sides, on one process at the price of little more than one."""

import torch

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.reduction import apart
from kontrast.losses.engine.symmetric import swept
from kontrast.losses.kernel import Kernel
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import Relation


def mutual(
    one: Embeddings,
    two: Embeddings,
    relation: Relation,
    *,
    loss: ContrastiveLoss,
    kernel: Kernel | None = None,
    everyone: tuple[Embeddings, Embeddings] | None = None,
    tile: int | None = None,
) -> tuple[LossTerm, LossTerm]:
    """The mean loss of the rows of either side as anchors, against all of the other side's: CLIP (arXiv:2103.00020) is
    the mean of both.

    everyone: both sides on all ranks, where the caller has gathered them already. kernel: the inner product as it is,
    if none is given. On one process, InfoNCE with a kernel that treats both sides alike makes one matrix serve both
    directions (`sweeps`); all else is `contrast` twice.
    """
    kernel = kernel or Dot()
    if everyone is None:
        gathered = Ranks().gather({"one": one, "two": two})
        everyone = gathered["one"], gathered["two"]
    if loss.softmax and everyone[0] is one and everyone[1] is two and not apart():
        run = torch.compiler.disable(swept) if torch.compiler.is_compiling() else swept
        with torch.autocast(one.z.device.type, enabled=False):
            found = run(one, two, relation, kernel, None, tile)  # pyright: ignore[reportCallIssue]
        if found is not None:
            return found[0], found[1]
    forth = contrast(one, everyone[1], relation, loss=loss, kernel=kernel, tile=tile)
    back = contrast(two, everyone[0], relation, loss=loss, kernel=kernel, tile=tile)
    return forth, back
