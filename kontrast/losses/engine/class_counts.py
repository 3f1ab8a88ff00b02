"""Number of rows per class, given at each row."""

from torch import Tensor


def counts(labels: Tensor) -> Tensor:
    """Number of rows that share each row's label: (N,) labels to (N,) counts.

    `Balanced` expects counts over all ranks: pass the labels of all of them.

    >>> counts(torch.tensor([3, 3, 5, 3]))
    tensor([3, 3, 1, 3])
    """
    _, of_class, sizes = labels.unique(return_inverse=True, return_counts=True)
    return sizes[of_class]
