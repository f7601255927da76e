"""What a library of Arduino has beside its sources; @NAME@ and the like stand for those of one."""

MANIFEST = """\
name=@NAME@
version=1.0.0
author=convlet
maintainer=convlet
sentence=An image classifier that was trained with convlet.
paragraph=One C99 file without dependencies; its first comment says what it takes and needs.
category=Data Processing
url=https://docs.arduino.cc/libraries/
architectures=*
includes=@NAME@.h
"""

SKETCH = """\
/* Reads an image from the serial port, one byte a number, row by row, and answers its class. */
#include <@NAME@.h>

static @PIXEL@ image[@UPPER@_ROWS * @UPPER@_COLUMNS * @UPPER@_CHANNELS];
static @ELEMENT@ @ANSWER@[@UPPER@_CLASSES];

void setup()
{
    Serial.begin(115200);
    Serial.setTimeout(10000);
#ifdef @UPPER@_SELFTEST
    Serial.print(F("images that differ: "));
    Serial.println(@NAME@_selftest());
#endif
}

void loop()
{
    if (Serial.readBytes((char *)image, sizeof image) != sizeof image)
        return;
    const unsigned long start = millis();
    const int best = @NAME@_predict(image, @ANSWER@);
    Serial.print(F("class "));
    Serial.print(best);
    Serial.print(F(", milliseconds "));
    Serial.println(millis() - start);
}
"""
