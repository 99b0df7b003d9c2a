"""Any picture file becomes upright RGB, or is refused with a reason."""

import random
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from engine.data import colours
from engine.data.decode import NO_MEMORY, decode_image
from engine.data.room import Room
from engine.errors import DataError
from tests.engine.hostile.mutations import with_size
from tests.engine.pictures import BLUE, GREEN, RED, YELLOW, corners, near, quarters, save

# What turns quarters() as it should look into what a camera held sideways stores.
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def reason_of(file: Path) -> str:
    with pytest.raises(DataError) as caught:
        decode_image(file)
    return str(caught.value)


def test_an_ordinary_jpeg(tmp_path: Path) -> None:
    picture = decode_image(save(quarters(), tmp_path / "a.jpg", quality=95))
    assert picture.mode == "RGB"
    assert picture.size == (64, 48)
    found = corners(picture)
    assert all(near(c, e) for c, e in zip(found, [RED, GREEN, BLUE, YELLOW], strict=True)), found


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 255, 257, 2570], [25_700, 32_896, 51_400, 65_535]], dtype=np.uint16)
    picture = decode_image(save(Image.fromarray(values), tmp_path / f"deep.{suffix}"))
    expected = np.rint(values / 257).astype(np.uint8)
    assert expected.max() == 255
    for channel in range(3):
        np.testing.assert_array_equal(np.asarray(picture)[..., channel], expected)


def test_a_dark_16_bit_picture_stays_dark(tmp_path: Path) -> None:
    values = np.full((8, 8), 200, dtype=np.uint16)
    picture = decode_image(save(Image.fromarray(values), tmp_path / "dark.png"))
    assert picture.getpixel((0, 0)) == (1, 1, 1)


@pytest.mark.parametrize(("highest", "factor"), [(1.0, 255.0), (255.0, 1.0)])
def test_grey_in_floats_keeps_its_range(tmp_path: Path, highest: float, factor: float) -> None:
    values = np.linspace(0.0, highest, 64, dtype=np.float32).reshape(8, 8)
    picture = decode_image(save(Image.fromarray(values), tmp_path / "float.tif"))
    np.testing.assert_array_equal(np.asarray(picture)[..., 0], np.rint(values * factor))


def test_8_bit_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    picture = decode_image(save(Image.new("L", (9, 9), 77), tmp_path / "grey.png"))
    assert picture.mode == "RGB"
    assert picture.getpixel((4, 4)) == (77, 77, 77)


def test_black_and_white(tmp_path: Path) -> None:
    picture = decode_image(save(Image.new("1", (9, 9), 1), tmp_path / "bits.png"))
    assert picture.getpixel((4, 4)) == (255, 255, 255)


def test_a_palette_with_a_transparent_colour_shows_white_there(tmp_path: Path) -> None:
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([*RED, *BLUE])
    palette.paste(1, (5, 0, 10, 10))
    picture = decode_image(save(palette, tmp_path / "palette.png", transparency=0))
    assert picture.getpixel((1, 5)) == (255, 255, 255)
    assert picture.getpixel((8, 5)) == BLUE


def test_a_colour_that_stands_for_transparency_shows_white(tmp_path: Path) -> None:
    picture = Image.new("RGB", (10, 10), RED)
    picture.paste(BLUE, (5, 0, 10, 10))
    found = decode_image(save(picture, tmp_path / "key.png", transparency=RED))
    assert found.getpixel((1, 5)) == (255, 255, 255)
    assert found.getpixel((8, 5)) == BLUE


def test_a_palette_without_transparency_keeps_its_colours(tmp_path: Path) -> None:
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([*RED, *BLUE])
    picture = decode_image(save(palette, tmp_path / "palette.gif"))
    assert picture.getpixel((1, 5)) == RED


def test_rgba_is_laid_on_white(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (12, 4), (0, 0, 0, 0))
    layer.paste((*RED, 255), (0, 0, 4, 4))
    layer.paste((0, 0, 0, 128), (4, 0, 8, 4))
    picture = decode_image(save(layer, tmp_path / "alpha.png"))
    assert picture.getpixel((1, 1)) == RED
    assert near(picture.getpixel((5, 1)), (127, 127, 127), tolerance=1)
    assert picture.getpixel((9, 1)) == (255, 255, 255)


def test_grey_with_alpha_is_laid_on_white(tmp_path: Path) -> None:
    picture = decode_image(save(Image.new("LA", (4, 4), (0, 0)), tmp_path / "la.png"))
    assert picture.getpixel((1, 1)) == (255, 255, 255)


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    file = save(quarters().convert("CMYK"), tmp_path / "print.jpg", quality=95)
    with Image.open(file) as stored:
        assert stored.mode == "CMYK"
    found = corners(decode_image(file))
    expected = [RED, GREEN, BLUE, YELLOW]
    assert all(near(c, e, tolerance=20) for c, e in zip(found, expected, strict=True)), found


@pytest.mark.parametrize("orientation", sorted(STORED_AS))
def test_a_photo_taken_sideways_comes_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = quarters().transpose(STORED_AS[orientation])
    file = save(stored, tmp_path / "photo.jpg", exif=exif, quality=95)
    picture = decode_image(file)
    assert picture.size == (64, 48)
    found = corners(picture)
    assert all(near(c, e) for c, e in zip(found, [RED, GREEN, BLUE, YELLOW], strict=True)), found


def test_a_large_jpeg_may_come_smaller_but_never_below_what_was_asked(tmp_path: Path) -> None:
    file = save(quarters(800, 600), tmp_path / "large.jpg", quality=95)
    picture = decode_image(file, at_least=140)
    assert min(picture.size) >= 140
    assert picture.size == (200, 150)
    found = corners(picture)
    assert all(near(c, e) for c, e in zip(found, [RED, GREEN, BLUE, YELLOW], strict=True)), found
    assert decode_image(file, at_least=500).size == (800, 600)


def test_a_truncated_jpeg(tmp_path: Path, tiny_folder: Path) -> None:
    whole = next((tiny_folder / "birds").iterdir()).read_bytes()
    file = tmp_path / "cut.jpg"
    file.write_bytes(whole[: len(whole) // 2])
    assert reason_of(file) == "truncated"


def test_a_truncated_png(tmp_path: Path) -> None:
    whole = save(quarters(), tmp_path / "whole.png").read_bytes()
    file = tmp_path / "cut.png"
    file.write_bytes(whole[: len(whole) // 2])
    assert reason_of(file) == "truncated"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff",
        random.Random(0).randbytes(4000),
        b"<html>not found</html>",
        b"%PDF-1.7",
    ],
    ids=["empty", "start of a JPEG", "random", "web page", "PDF"],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    assert reason_of(file) == "not a picture in a known format"


def test_a_format_that_can_run_programs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "drawing.eps"
    quarters().save(file)
    assert reason_of(file) == "not a picture in a known format"


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "gone.jpg") == "not there"


def png_header(side: int) -> bytes:
    """A PNG that says it is enormous, as a decompression bomb would."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize("side", [11_000, 20_000])
def test_an_enormous_picture_is_refused_with_its_limit(tmp_path: Path, side: int) -> None:
    file = tmp_path / "bomb.png"
    file.write_bytes(png_header(side))
    assert reason_of(file) == "larger than 120 megapixels"


def test_a_webp_may_be_half_as_large(tmp_path: Path) -> None:
    file = tmp_path / "bomb.webp"
    save(Image.new("RGB", (8, 8)), file, lossless=True)
    file.write_bytes(with_size(file.read_bytes(), 9000, 8000))
    assert reason_of(file) == "larger than 64 megapixels"


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "I;16", "F", "CMYK"])
def test_what_is_converted_in_parts_is_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = quarters(60, 50).convert("L" if mode == "I;16" else mode).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    if mode == "P":
        picture.info["transparency"] = 1
    whole = colours.to_rgb(picture)
    monkeypatch.setattr(colours, "BAND_PIXELS", 420)
    parts = colours.to_rgb(picture)
    assert parts.mode == whole.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(parts), np.asarray(whole))


def test_what_is_odd_but_good_is_not_warned_of(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "x" * 300
    whole = save(quarters(), tmp_path / "whole.jpg", exif=exif).read_bytes()
    file = tmp_path / "odd.jpg"
    # The name of the camera is shorter than it is said to be.
    file.write_bytes(whole.replace(struct.pack(">I", 301), struct.pack(">I", 999_999), 1))
    code = (
        "import sys; from pathlib import Path; from engine.data.decode import decode_image; "
        "print(decode_image(Path(sys.argv[1])).size)"
    )
    # In a process that no fixture has set the filters of.
    command = [sys.executable, "-W", "error", "-c", code]
    for sent in (file, tmp_path / "whole.jpg"):
        done = subprocess.run([*command, sent], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("(64, 48)\n", "")


def test_too_little_memory_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(picture: Image.Image) -> None:
        raise MemoryError

    file = save(quarters(), tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "load", load)
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert reason_of(file) == NO_MEMORY


def test_what_a_decoder_says_of_a_file_becomes_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(quarters(), tmp_path / "a.png")
    for text, reason in (
        ("one\n\x1b[31mtwo\x00", "damaged (one [31mtwo)"),
        ("", "damaged (ValueError)"),
        ("x" * 5000, f"damaged ({'x' * 120})"),
    ):

        def load(picture: Image.Image, text: str = text) -> None:
            raise ValueError(text)

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        assert reason_of(file) == reason


def test_large_pictures_wait_for_each_other() -> None:
    room = Room(100)
    inside, most, lock = 0, 0, threading.Lock()

    def decode(amount: int) -> None:
        nonlocal inside, most
        with room.taken(amount):
            with lock:
                inside += amount
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= amount

    threads = [threading.Thread(target=decode, args=(30 + 10 * (n % 5),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 70 <= most <= 100
    with room.taken(1000):
        pass


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tif"])
def test_damage_anywhere_raises_nothing_but_data_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    dice = random.Random(suffix)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = save(quarters(), tmp_path / f"whole.{suffix}", exif=exif).read_bytes()
    file = tmp_path / f"damaged.{suffix}"
    reasons: list[str] = []
    for _ in range(150):
        content = bytearray(whole)
        reach = dice.choice([32, 300, len(content)])
        for _ in range(dice.choice([1, 4, 16])):
            content[dice.randrange(min(reach, len(content)))] = dice.randrange(256)
        file.write_bytes(content[: dice.choice([len(content), dice.randrange(len(content))])])
        try:
            picture = decode_image(file, at_least=dice.choice([None, 16]))
        except DataError as error:
            reasons.append(str(error))
        else:
            assert picture.mode == "RGB"
    assert len(reasons) > 30
    assert all(reasons)
