"""A target number per row (an age, a dose, a price), for Rank-N-Contrast and y-aware contrast."""

from kontrast.data.schema.target import Numbers


class Number(Numbers):
    """The target number of a row.

    The key is float64, in the unit of the column; NaN in a row without one, and in every row that is not trained on.
    """

    recipe = "rnc"
