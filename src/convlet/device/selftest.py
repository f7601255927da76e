"""Images with the answers that belong to them, compiled into the file by choice."""

from typing import NamedTuple

from convlet.device.text import Table
from convlet.equations import Array

MOST = 10
"""Images."""

FUNCTION = """\
int NAME_selftest(PARAMETER)
{
    enum { IMAGES = IMAGE_COUNT, PIXELS = PIXEL_COUNT, M = CLASS_COUNT };
    static PIXEL image[PIXELS];
    static ELEMENT answer[M];
    const PIXEL *pixel = NAME_images;
    const ELEMENT *expected = NAME_answers;
    int wrong = 0;
    for (int n = 0; n < IMAGES; ++n) {
        int differs = 0;
        for (int u = 0; u < PIXELS; ++u, ++pixel)
            image[u] = READ_PIXEL(pixel);
        NAME_predict(image, answerARGUMENT);
        for (int j = 0; j < M; ++j, ++expected)
            differs |= DIFFERS;
        wrong += differs;
    }
    return wrong;
}"""


class Selftest(NamedTuple):
    """images (n, rows, columns, channels) as the file takes them, answers (n, classes) of each."""

    images: Array
    answers: Array

    def text(self, name: str, pixel: str, element: str, differs: str, caller: bool) -> str:
        """The images, the answers and the function that compares; pixel, element: their types.

        differs: of two answers, `answer[j]` and `expected`.  caller: whether it owns the arena.
        """
        words = {
            "READ_PIXEL": reads(pixel),
            "NAME": name,
            "PARAMETER": f"{element} *arena" if caller else "void",
            "ARGUMENT": ", arena" if caller else "",
            "IMAGE_COUNT": str(len(self.images)),
            "PIXEL_COUNT": str(self.images[0].size),
            "CLASS_COUNT": str(self.answers.shape[1]),
            "PIXEL ": f"{pixel} ",
            "ELEMENT": element,
            "DIFFERS": differs,
        }
        function = FUNCTION
        for word, stands_for in words.items():
            function = function.replace(word, stands_for)
        images = Table(pixel, f"{name}_images", self.images)
        answers = Table(element, f"{name}_answers", self.answers)
        upper = name.upper()
        start = f"#ifdef {upper}_SELFTEST /* images, what convlet answers, and how many differ */"
        return "\n\n".join([start, str(images), str(answers), function, "#endif"])


def reads(kind: str) -> str:
    """The macro that reads a constant of this type."""
    return f"CONVLET_{kind.removesuffix('_t').upper()}"
