/* The start of the MPS2 boards of qemu-system-arm: the vector table, the floating-point unit. */
#include <stdint.h>

extern void _start(void);
extern uint32_t stack_top;

static void reset(void)
{
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR: CP10 and CP11 for everybody */
#endif
    _start();
}

static void fault(void)
{
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))&stack_top, reset, fault, fault, fault, fault, fault,
};
