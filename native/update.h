// The step (21) and its successors: momentum, Nesterov, Adam, with decoupled weight decay.
//
// Sources: Sutskever, Martens, Dahl, Hinton 2013 (momentum, Nesterov); Kingma, Ba 2015 (Adam);
// Loshchilov, Hutter 2019 (decoupled decay).  convlet/optimizers.py has the same lines in NumPy.
#pragma once

#include "elementwise.h"

namespace convlet::CONVLET_TARGET {

inline void update(const UpdateRule& rule, float* w, const float* gradient, float* m, float* v,
                   Index n) {
    using Kind = UpdateRule::Kind;
    const V step = broadcast<8>(-rule.rate), decay = broadcast<8>(0 - rule.decay),
            scale = broadcast<8>(rule.scale);
    const V beta1 = broadcast<8>(rule.beta1), beta2 = broadcast<8>(rule.beta2);
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        const V g = load<8, cut>(gradient + at, lanes) * scale;
        const V whole = load<8, cut>(w + at, lanes);
        const V kept = fma(decay, whole, whole);  // w <- w - eta lambda w
        V direction = g;
        switch (rule.kind) {
            case Kind::sgd: break;
            case Kind::momentum:
            case Kind::nesterov: {
                const V velocity = fma(beta1, load<8, cut>(m + at, lanes), g);  // m <- mu m + g
                store<cut>(m + at, velocity, lanes);
                direction = rule.kind == Kind::momentum ? velocity : fma(beta1, velocity, g);
                break;
            }
            case Kind::adam: {
                const V mean =
                    fma(beta1, load<8, cut>(m + at, lanes), broadcast<8>(rule.rest1) * g);
                const V square =
                    fma(beta2, load<8, cut>(v + at, lanes), broadcast<8>(rule.rest2) * g * g);
                store<cut>(m + at, mean, lanes);
                store<cut>(v + at, square, lanes);
                direction =
                    mean * broadcast<8>(rule.unbias1) /
                    (sqrt(square * broadcast<8>(rule.unbias2)) + broadcast<8>(rule.epsilon));
                break;
            }
        }
        store<cut>(w + at, fma(step, direction, kept), lanes);  // (21) for plain descent
    });
}

inline double squares(const float* a, Index n) {
    V sum = broadcast<8>(0);
    each_vector(n, [&]<bool cut>(Index at, int lanes) {
        const V value = load<8, cut>(a + at, lanes);
        sum = fma(value, value, sum);
    });
    float lane[8];
    store(lane, sum);
    double total = 0;
    for (const float part : lane) total += part;
    return total;
}

}  // namespace convlet::CONVLET_TARGET
