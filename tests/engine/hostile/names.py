"""Names of files that lead elsewhere, clash, or cannot be on some disk."""

from hypothesis import strategies as st

PARTS = (
    *("cats", "dogs", "Cats", "CATS", "train", "val", "1", "2", "a.png", "photo"),
    *("..", ".", "", " ", "...", ".hidden", "__MACOSX", "~", "-rf", "cats ", "cats."),
    *(
        "CON",
        "con.png",
        "NUL",
        "aux",
        "COM1",
        "LPT9.txt",
        "C:",
        "c:",
        "\\\\server",
        "..\\..",
        "$HOME",
    ),
    *(
        "k\u00e4se",
        "ka\u0308se",
        "\u017fort",
        "sort",
        "\u0130",
        "\U0001f600",
        "\u202egnp",
        "\ufeffx",
    ),
    *("<script>alert(1)</script>", "a:b", "why?", "w*", 'q"q', "p|p", "%2e%2e", "$(id)", "`id`"),
    *(
        "x" * 300,
        "\u00fc" * 150,
        "\U0001f600" * 60,
        "\x00",
        "a\x00b",
        "\x1b[31m",
        "new\nline",
        "\x7f",
    ),
)
# As bytes, since no text gives them: half a surrogate, Latin-1, more than Unicode has.
ODD_BYTES = (b"\xed\xa0\x80", b"caf\xe9", b"\xf4\x90\x80\x80", b"\xc0\xae\xc0\xae", b"\xff\xfe")
SUFFIXES = (".png", ".jpg", ".PNG", ".png ", ".png.", ".txt", ".zip", "", ".tiff", ".png\x00.txt")

_parts = st.one_of(
    st.sampled_from(["cats", "dogs"]).map(str.encode),
    st.sampled_from(PARTS).map(str.encode),
    st.sampled_from(ODD_BYTES),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@st.composite
def names(draw: st.DrawFn) -> bytes:
    """Draws the name of a file, with the folders that it lies in."""
    if draw(st.booleans()):
        folder, number = draw(st.sampled_from(["cats", "dogs"])), draw(st.integers(0, 9))
        return f"{folder}/{number}.png".encode()
    parts = draw(st.lists(_parts, min_size=1, max_size=4))
    if draw(st.integers(0, 30)) == 0:
        parts *= 20
    separator = draw(st.sampled_from([b"/", b"/", b"/", b"\\", b"//", b"/./"]))
    root = draw(st.sampled_from([b"", b"", b"", b"/", b"\\", b"C:\\", b"../", b"./"]))
    return root + separator.join(parts) + draw(st.sampled_from(SUFFIXES)).encode()


def as_text(name: bytes) -> str:
    """Returns a name as a browser or a file system hands it over."""
    return name.decode("utf-8", "surrogateescape")
