"""Both directions between two sides, on a single process for little more than the price of one."""

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
    """Mean loss of each side's rows as anchors, against all rows of the other side.

    On a single process, InfoNCE with a symmetric kernel computes one matrix for both directions
    (`losses.engine.symmetric`); otherwise it is `contrast` twice. CLIP is the mean of both directions.

    Args:
        one: Embeddings of the first side.
        two: Embeddings of the second side.
        relation: Between anchors of either side and candidates of the other.
        loss: Of each anchor.
        kernel: The inner product by default.
        everyone: Both sides on all processes, if the caller has gathered them already.
        tile: Numbers per tile; None for the usual size.

    Returns:
        The terms of the first and of the second side.

    Reference:
        CLIP: Radford et al. 2021, arXiv:2103.00020.
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
