/* Some images in flash, and their answers in hexadecimal over the serial port, for simavr. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdint.h>

#include "images.h"
#include "net.h"

#define DEPTH 512

static uint8_t image[NET_ROWS * NET_COLUMNS * NET_CHANNELS];
static ELEMENT answer[NET_CLASSES];

static __attribute__((noinline)) void paint(void)
{
    volatile uint8_t area[DEPTH];
    for (int i = 0; i < DEPTH; ++i)
        area[i] = 0xa5;
}

static __attribute__((noinline)) int used(void)
{
    volatile uint8_t area[DEPTH];
    int i = 0;
    while (i < DEPTH && area[i] == 0xa5)
        ++i;
    return DEPTH - i;
}

static void send(char c)
{
    while (!(UCSR0A & (1 << UDRE0))) {
    }
    UDR0 = (uint8_t)c;
}

static void send_hex(uint8_t byte)
{
    send("0123456789abcdef"[byte >> 4]);
    send("0123456789abcdef"[byte & 15]);
}

int main(void)
{
    const uint8_t *pixel = images;
    int most = 0;
    UBRR0 = 0;
    UCSR0B = 1 << TXEN0;
    for (int n = 0; n < IMAGES; ++n) {
        int depth;
        for (unsigned u = 0; u < sizeof image; ++u, ++pixel)
            image[u] = pgm_read_byte(pixel);
        paint();
        net_predict(image, answer);
        depth = used();
        most = depth > most ? depth : most;
        for (unsigned u = 0; u < sizeof answer; ++u)
            send_hex(((const uint8_t *)answer)[u]);
        send('\n');
    }
    send('=');
    send_hex((uint8_t)(most >> 8));
    send_hex((uint8_t)most);
    send('\n');
    cli();
    sleep_mode(); /* without interrupts: simavr ends */
    for (;;) {
    }
}
