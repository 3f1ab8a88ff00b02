"""A gold similarity of two fields of a row, for CoSENT and AnglE."""

from kontrast.data.schema.target import Numbers


class Score(Numbers):
    """Similarity of the fields of a row, as people rated it; larger is more similar.

    The key is float64, in the unit of the column; NaN in rows without a score and in rows that do not train.
    """
