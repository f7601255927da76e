"""Images with the answers that belong to them, compiled into the file by choice."""

from typing import NamedTuple

from convlet.device.text import Table, filled
from convlet.equations import Array

MOST = 10
"""Images."""

FUNCTION = """\
int @NAME@_selftest(@PARAMETER@)
{
    enum { IMAGES = @IMAGES@, PIXELS = @PIXELS@, M = @CLASSES@ };
    static @PIXEL@ image[PIXELS];
    static @ELEMENT@ answer[M];
    const @PIXEL@ *pixel = @NAME@_images;
    const @ELEMENT@ *expected = @NAME@_answers;
    int wrong = 0;
    for (int n = 0; n < IMAGES; ++n) {
        for (int u = 0; u < PIXELS; ++u, ++pixel)
            image[u] = @READ@(pixel);
        int differs = @NAME@_predict(image, answer@ARGUMENT@) < 0;
        for (int j = 0; j < M; ++j, ++expected)
            differs |= @DIFFERS@;
        wrong += differs;
    }
    return wrong;
}"""


class Selftest(NamedTuple):
    """images (n, rows, columns, channels) as the file takes them, answers (n, classes) of each."""

    images: Array
    answers: Array

    def tables(self, name: str, pixel: str, element: str) -> tuple[Table, Table]:
        """The images and the answers; pixel, element: their types."""
        images = Table(pixel, f"{name}_images", self.images)
        return images, Table(element, f"{name}_answers", self.answers)

    def text(self, name: str, pixel: str, element: str, differs: str, caller: bool) -> str:
        """The images, the answers and the function that compares; pixel, element: their types.

        differs: of two answers, `answer[j]` and `expected`.  caller: whether it owns the arena.
        """
        function = filled(
            FUNCTION,
            NAME=name,
            PIXEL=pixel,
            ELEMENT=element,
            READ=reads(pixel),
            PARAMETER=f"{element} *arena" if caller else "void",
            ARGUMENT=", arena" if caller else "",
            IMAGES=len(self.images),
            PIXELS=self.images[0].size,
            CLASSES=self.answers.shape[1],
            DIFFERS=differs,
        )
        images, answers = self.tables(name, pixel, element)
        upper = name.upper()
        start = f"#ifdef {upper}_SELFTEST /* images, what convlet answers, and how many differ */"
        return "\n\n".join([start, str(images), str(answers), function, "#endif"])


def reads(kind: str) -> str:
    """The macro that reads a constant of this type."""
    return f"CONVLET_{kind.removesuffix('_t').upper()}"
