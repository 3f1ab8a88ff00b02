"""Numbers of bytes in words."""


def size(count: int) -> str:
    """Formats bytes for messages: `1.5 GB`."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"
