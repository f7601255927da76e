"""The C that keeps constants in flash and reads them."""

FLASH = """\
/* Constants stay in flash; AVR reads them from there by an instruction of its own. */
#ifdef __AVR__
#include <avr/pgmspace.h>
#define CONVLET_PROGMEM PROGMEM
#define CONVLET_FLOAT(at) pgm_read_float(at)
#define CONVLET_UINT8(at) pgm_read_byte(at)
#define CONVLET_INT8(at) ((int8_t)pgm_read_byte(at))
#define CONVLET_INT32(at) ((int32_t)pgm_read_dword(at))
#else
#define CONVLET_PROGMEM
#define CONVLET_FLOAT(at) (*(at))
#define CONVLET_UINT8(at) (*(at))
#define CONVLET_INT8(at) (*(at))
#define CONVLET_INT32(at) (*(at))
#endif"""

NEAR = 65_000
"""Bytes of tables that AVR reads by addresses of 16 bits, with room for what lies before them."""


def too_far(tables: int, tested: int, name: str) -> list[str]:
    """Lines that stop a compiler for AVR where it would read tables wrongly.

    tables: bytes of a network; tested: more of them where NAME_SELFTEST is defined.
    """
    where = "defined(__AVR__)"
    if tables <= NEAR:
        tables += tested
        where += f" && defined({name.upper()}_SELFTEST)"
    if tables <= NEAR:
        return []
    words = f"{tables:,} bytes of tables, of which AVR reaches {NEAR:,}: take a smaller network"
    return ["", f"#if {where}", f'#error "{words}"', "#endif"]
