/* Classifies an image that comes as raw bytes, row by row:
 *
 *     ./digits < image.raw
 */
#include <stdio.h>

#include "digits.h"

int main(void)
{
#ifdef DIGITS_SELFTEST
    const int wrong = digits_selftest();
    printf("%d images differ from convlet\n", wrong);
    return wrong != 0;
#else
    static uint8_t image[DIGITS_ROWS * DIGITS_COLUMNS * DIGITS_CHANNELS];
    static int8_t logits[DIGITS_CLASSES];
    if (fread(image, sizeof image, 1, stdin) != 1) {
        fprintf(stderr, "expected %u bytes\n", (unsigned)sizeof image);
        return 2;
    }
    printf("class %d\n", digits_predict(image, logits));
    return 0;
#endif
}
