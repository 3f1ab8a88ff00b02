"""How many rows there are of each row's class."""

from torch import Tensor


def counts(labels: Tensor) -> Tensor:
    """(N,) labels -> (N,): how often each row's label occurs. Count the labels of all ranks, `Balanced` asks for that.

    >>> counts(torch.tensor([3, 3, 5, 3]))
    tensor([3, 3, 1, 3])
    """
    _, of_class, sizes = labels.unique(return_inverse=True, return_counts=True)
    return sizes[of_class]
