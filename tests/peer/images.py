"""Pictures for the tests, drawn with NumPy; and files that are none."""

import io
import struct
import zlib

import numpy
import PIL.Image

EXIF_ORIENTATION = 0x0112
ROTATED = 6  # stored lying on its side


def scene(height, width):
    """A bright disc and a dark block on a slope, RGB [height, width, 3]."""
    y, x = numpy.mgrid[0:height, 0:width]
    picture = numpy.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2)
    disc = (y - height / 2) ** 2 + (x - width / 3) ** 2 < (min(height, width) / 5) ** 2
    picture[disc] = (250, 240, 120)
    picture[height // 8 : height // 3, width * 2 // 3 : width * 7 // 8] = (20, 30, 60)
    return picture.astype(numpy.uint8)


def encode(picture, kind, **options):
    out = io.BytesIO()
    PIL.Image.fromarray(picture).save(out, kind, **options)
    return out.getvalue()


def rotated_jpeg(height, width):
    """A JPEG whose EXIF tag turns `height` x `width` stored pixels by a quarter."""
    exif = PIL.Image.Exif()
    exif[EXIF_ORIENTATION] = ROTATED
    return encode(scene(height, width), "JPEG", exif=exif)


def truncated_jpeg():
    whole = encode(scene(240, 320), "JPEG")
    return whole[: len(whole) // 2]


def huge_png():
    """100,000 x 100,000 px by its header, a handful of bytes in truth."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
