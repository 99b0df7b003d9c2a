"""Small picture files of every format and kind that Thaw reads, as bytes, to be damaged."""

import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from tests.conftest import CLIPART
from tests.engine.pictures import quarters


@cache
def seeds() -> dict[str, bytes]:
    """Files by a name that says what they are; the suffix fits the format."""
    return dict([*_jpegs(), *_pngs(), *_webps(), *_gifs(), *_bmps(), *_tiffs()])


def _packed(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _turned(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    return exif


def _icc() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # When it was made, which would make other files of it in each run.
    return profile[:24] + bytes(12) + profile[36:]


def _gradient(width: int = 64, height: int = 48) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    values = np.stack([3 * columns, 4 * rows, 2 * (rows + columns)], axis=-1)
    # Noise, or there is next to nothing to damage behind the headers.
    values += np.random.default_rng(0).integers(0, 30, values.shape)
    return Image.fromarray((values % 256).astype(np.uint8))


def _layer() -> Image.Image:
    layer = quarters().convert("RGBA")
    layer.putalpha(Image.linear_gradient("L").resize(layer.size))
    return layer


def _palette() -> Image.Image:
    return _gradient().quantize(32)


def _jpegs() -> Iterator[tuple[str, bytes]]:
    photo = sorted((CLIPART / "train" / "birds").iterdir())[0]
    yield "photo.jpg", photo.read_bytes()
    yield "plain.jpg", _packed(_gradient(), "JPEG", quality=90)
    yield "progressive.jpg", _packed(_gradient(), "JPEG", progressive=True, subsampling=0)
    yield "restarts.jpg", _packed(_gradient(), "JPEG", restart_marker_blocks=2)
    yield "grey.jpg", _packed(_gradient().convert("L"), "JPEG")
    yield "print.jpg", _packed(quarters().convert("CMYK"), "JPEG")
    yield "turned.jpg", _packed(_gradient(), "JPEG", exif=_turned())
    yield "profile.jpg", _packed(_gradient(), "JPEG", icc_profile=_icc())
    yield "said.jpg", _packed(_gradient(), "JPEG", comment=b"<script>alert(1)</script>")
    yield "two.jpg", _packed(_gradient(), "MPO", save_all=True, append_images=[quarters()])


def _pngs() -> Iterator[tuple[str, bytes]]:
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "<html><body onload=alert(1)>" * 20, zip=True)
    words.add_itxt("Title", "Käse", "de", "Titel")
    deep = (np.arange(64 * 48, dtype=np.uint16) * 21).reshape(48, 64)
    yield "plain.png", _packed(_gradient(), "PNG")
    yield "words.png", _packed(_gradient(), "PNG", pnginfo=words, dpi=(300, 300))
    yield "profile.png", _packed(_gradient(), "PNG", icc_profile=_icc(), exif=_turned(8))
    yield "alpha.png", _packed(_layer(), "PNG")
    yield "grey.png", _packed(_gradient().convert("L"), "PNG")
    yield "greyalpha.png", _packed(_layer().convert("LA"), "PNG")
    yield "deep.png", _packed(Image.fromarray(deep), "PNG")
    yield "bits.png", _packed(_gradient().convert("1"), "PNG")
    yield "palette.png", _packed(_palette(), "PNG", transparency=3)
    yield "alphas.png", _packed(_palette(), "PNG", transparency=bytes(range(32)))
    yield "film.png", _packed(_gradient(), "PNG", save_all=True, append_images=[quarters()])


def _webps() -> Iterator[tuple[str, bytes]]:
    yield "lossy.webp", _packed(_gradient(), "WEBP")
    yield "lossless.webp", _packed(_gradient(), "WEBP", lossless=True)
    yield "alpha.webp", _packed(_layer(), "WEBP", exif=_turned(3), icc_profile=_icc())
    yield "film.webp", _packed(_gradient(), "WEBP", save_all=True, append_images=[quarters()])


def _gifs() -> Iterator[tuple[str, bytes]]:
    film = [quarters(), _gradient(), _layer()]
    yield "plain.gif", _packed(_palette(), "GIF", comment=b"<html>")
    yield "clear.gif", _packed(_palette(), "GIF", transparency=1)
    yield "film.gif", _packed(film[0], "GIF", save_all=True, append_images=film[1:], loop=0)
    yield "grey.gif", _packed(_gradient().convert("L"), "GIF", interlace=True)


def _bmps() -> Iterator[tuple[str, bytes]]:
    yield "plain.bmp", _packed(_gradient(33, 20), "BMP")
    yield "alpha.bmp", _packed(_layer().resize((20, 20)), "BMP")
    yield "palette.bmp", _packed(_palette(), "BMP")
    yield "bits.bmp", _packed(_gradient().convert("1"), "BMP")


def _tiffs() -> Iterator[tuple[str, bytes]]:
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"):
        yield f"{name}.tif", _packed(_gradient(), "TIFF", compression=name)
    deep = (np.arange(64 * 48, dtype=np.uint16) * 21).reshape(48, 64)
    yield "group4.tif", _packed(_gradient().convert("1"), "TIFF", compression="group4")
    yield "group3.tif", _packed(_gradient().convert("1"), "TIFF", compression="group3")
    yield "deep.tif", _packed(Image.fromarray(deep), "TIFF", compression="tiff_lzw")
    yield "deeper.tif", _packed(Image.fromarray(deep.astype(np.int32) * 9), "TIFF")
    yield "float.tif", _packed(Image.fromarray(deep.astype(np.float32) / 65535), "TIFF")
    yield "print.tif", _packed(quarters().convert("CMYK"), "TIFF")
    yield "lab.tif", _packed(_lab(), "TIFF", compression="tiff_lzw")
    yield "alpha.tif", _packed(_layer(), "TIFF", compression="tiff_lzw", exif=_turned(5))
    yield "palette.tif", _packed(_palette(), "TIFF")
    yield "big.tif", _packed(_gradient(), "TIFF", big_tiff=True, icc_profile=_icc())
    yield "pages.tif", _packed(_gradient(), "TIFF", save_all=True, append_images=[quarters()])


def _lab() -> Image.Image:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    found = ImageCms.applyTransform(_gradient(), transform)
    assert found is not None
    del found.info["icc_profile"]
    return found
