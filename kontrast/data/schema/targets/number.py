"""A target number per row (an age, a price), for Rank-N-Contrast and y-aware contrast."""

from kontrast.data.schema.target import Numbers


class Number(Numbers):
    """Target number of a row.

    The key is float64, in the unit of the column; NaN in rows without a number and in rows that do not train.
    """

    recipe = "rnc"
