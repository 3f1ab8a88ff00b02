"""Sources as they are opened, and files of text."""

from kontrast.data.sources.open_source import open_frame


def opened(data, cache=None):
    frame = open_frame(data, cache=cache)
    return frame, {name: frame.cells(name, range(len(frame))) for name in frame.columns}


def write(path, text):
    path.write_text(text, encoding="utf8")
    return path
