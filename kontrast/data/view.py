"""Views: what a task asks for, and what it gets: data with the keys that hold for it alone."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from kontrast.core.embeddings import Keys

Role = Literal["global", "local", "weak", "strong", "context", "original"]
"""How a view differs from its sample, in the units of each modality.

global: the modality's own augmentation. local: a smaller part (a small crop, a short window, a span of tokens). weak: a
light change that leaves the content. strong: the strongest change that leaves the meaning. context: what surrounds the
part that is predicted (the past of a series). original: no augmentation.
"""


@dataclass(frozen=True, eq=False)
class View:
    """A view of B samples. Views are equal only to themselves, so that each is encoded once per pass.

    Attributes:
        field: Field that it shows.
        data: (B, ...) encoder input.
        keys: Keys that hold for this view alone, name -> (B, ...): the soft labels of mixed rows, the turn of a
            rotated image.
    """

    field: str
    data: Tensor
    keys: Keys = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class ViewSpec:
    """A view that a task asks for.

    Attributes:
        field: Field to show.
        role: How the view differs from its sample.
    """

    field: str
    role: Role = "global"
