/* Every image of images.bin to answers.bin, and the greatest depth of stack to stack.txt: on a desk,
 * under qemu-arm, and on boards of qemu-system-arm, whose files are those of the host. */
#include <stdint.h>
#include <stdio.h>

#include "net.h"

#define DEPTH 4096

static PIXEL image[NET_ROWS * NET_COLUMNS * NET_CHANNELS];
static ELEMENT answer[NET_CLASSES];

/* The stack below the caller, painted and looked at. */
static __attribute__((noinline)) void paint(void)
{
    volatile uint8_t area[DEPTH];
    for (int i = 0; i < DEPTH; ++i)
        area[i] = 0xa5;
}

static __attribute__((noinline)) long used(void)
{
    volatile uint8_t area[DEPTH];
    int i = 0;
    while (i < DEPTH && area[i] == 0xa5)
        ++i;
    return DEPTH - i;
}

int main(void)
{
    FILE *images = fopen("images.bin", "rb"), *answers = fopen("answers.bin", "wb"), *stack;
    long most = 0;
    if (images == NULL || answers == NULL)
        return 1;
    while (fread(image, sizeof image, 1, images) == 1) {
        long depth;
        paint();
        net_predict(image, answer);
        depth = used();
        most = depth > most ? depth : most;
        if (fwrite(answer, sizeof answer, 1, answers) != 1)
            return 1;
    }
    fclose(answers);
    stack = fopen("stack.txt", "w");
    if (stack == NULL)
        return 1;
    fprintf(stack, "%ld\n", most);
    fclose(stack);
    return 0;
}
