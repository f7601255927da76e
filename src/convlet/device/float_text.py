"""The C of floats that no network changes: a fused multiply-add, the softmax (11)."""

PRELUDE = """\
/* a b + c: with one rounding, as in convlet, where the processor has an instruction for that. */
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) || \\
    defined(__riscv_flen)
#define CONVLET_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define CONVLET_FMA(a, b, c) ((a) * (b) + (c))
#endif"""

SOFTMAX = """\
/* e^x for x <= 0: x = n ln 2 + r with |r| <= ln 2 / 2, the Taylor sum to r^7, times 2^n. */
static float @NAME@_exp(float x)
{
    static const float factors[7] CONVLET_PROGMEM = {
        1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f,
    };
    union {
        float number;
        uint32_t bits;
    } t, sum;
    float n, r;
    if (x <= -87.33654f)
        return 0.0f; /* less than any normal number */
    t.number = CONVLET_FMA(x, 1.44269504f, 12582912.0f); /* 1.5 2^23: rounds to a whole number */
    n = t.number - 12582912.0f;
    r = CONVLET_FMA(n, -0.693145752f, x); /* ln 2 in two parts, the first exact times n */
    r = CONVLET_FMA(n, -1.42860677e-6f, r);
    sum.number = 1.0f / 5040;
    for (int c = 0; c < 7; ++c)
        sum.number = CONVLET_FMA(sum.number, r, CONVLET_FLOAT(factors + c));
    sum.bits += t.bits << 23; /* times 2^n */
    return sum.number;
}

/* What enters the softmax becomes probabilities; the class, or -1 where a number is not finite. */
static int @NAME@_class(float *z)
{
    enum { M = @CLASSES@ };
    float sum = 0.0f;
    int most = 0;
    for (int j = 0; j < M; ++j) {
        if (!(z[j] - z[j] == 0.0f))
            return -1;
        if (z[j] > z[most])
            most = j;
    }
    const float greatest = z[most];
    for (int j = 0; j < M; ++j) {
        z[j] = @NAME@_exp(z[j] - greatest);
        sum = sum + z[j];
    }
    for (int j = 0; j < M; ++j)
        z[j] = z[j] / sum; /* (11) */
    return most;
}"""
