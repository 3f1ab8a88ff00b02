"""Pictures as the image modality reads them, and one that is fitted."""

from kontrast.modalities.image.image import Image


def read(cell, folder=None, **settings):
    return Image(**settings).read(cell, folder)


def fitted(size=32, channels=3, **settings):
    return Image(size=size, channels=channels, mean=[0.5] * channels, std=[0.25] * channels, **settings)
