// An optimiser, and the update rule of one step after another.
#pragma once

#include "kernels.h"

namespace convlet {

struct Optimizer {
    UpdateRule::Kind kind = UpdateRule::Kind::sgd;
    double beta1 = 0, beta2 = 0;  // beta1 is mu of momentum
    double epsilon = 0;
    double weight_decay = 0;  // lambda

    // Vectors like the flat one that it keeps from step to step.
    std::size_t slots() const {
        switch (kind) {
            case UpdateRule::Kind::sgd: return 0;
            case UpdateRule::Kind::momentum: return 1;
            case UpdateRule::Kind::nesterov: return 1;
            case UpdateRule::Kind::adam: return 2;
        }
        __builtin_unreachable();
    }
};

inline constexpr std::size_t most_slots = 2;  // that a kernel of the update takes

class UpdateRules {
public:
    // After so many steps.
    UpdateRules(const Optimizer& optimizer, Index updates)
        : optimizer_(optimizer),
          power1_(power(optimizer.beta1, updates)),
          power2_(power(optimizer.beta2, updates)) {
        update_rule_.kind = optimizer.kind;
        update_rule_.beta1 = static_cast<float>(optimizer.beta1);
        update_rule_.beta2 = static_cast<float>(optimizer.beta2);
        update_rule_.rest1 = static_cast<float>(1 - optimizer.beta1);
        update_rule_.rest2 = static_cast<float>(1 - optimizer.beta2);
        update_rule_.epsilon = static_cast<float>(optimizer.epsilon);
    }

    // That of the next step, whose learning rate is eta.
    UpdateRule next(float eta) {
        update_rule_.rate = eta;
        update_rule_.decay = static_cast<float>(eta * optimizer_.weight_decay);
        power1_ *= optimizer_.beta1, power2_ *= optimizer_.beta2;
        update_rule_.unbias1 = static_cast<float>(1 / (1 - power1_));
        update_rule_.unbias2 = static_cast<float>(1 / (1 - power2_));
        return update_rule_;
    }

private:
    // b^n by repeated products: no library decides the bits.
    static double power(double b, Index n) {
        double result = 1;
        for (; n > 0; n /= 2, b *= b)
            if (n % 2) result *= b;
        return result;
    }

    const Optimizer optimizer_;
    UpdateRule update_rule_;
    double power1_, power2_;  // beta^t
};

}  // namespace convlet
