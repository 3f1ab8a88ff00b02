"""A gold similarity of two fields of a row (how alike two sentences are), for CoSENT and AnglE."""

from kontrast.data.schema.target import Numbers


class Score(Numbers):
    """How alike the fields of a row are, by the word of people; more is more alike.

    The key is float64, as the column has it; NaN in a row without one, and in every row that is not trained on.
    """
