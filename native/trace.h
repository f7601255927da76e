// What passes through the network on its way there and back, for whoever looks into it.
#pragma once

#include <cstring>
#include <span>

#include "step.h"

namespace convlet {

// An image at a time through a `Step` of a minibatch of one: what is copied here is what a step
// computes, and z^l, which a step has only under its pools, is the same chain of operations.
class Trace {
public:
    Trace(const Kernels& kernels, const Plan& plan, const float* parameters, Workspace& space,
          const Samples& data)
        : k_(kernels),
          plan_(plan),
          arena_(space.arenas[0]),
          rows_(space.rows[0]),
          passes_(kernels, plan, parameters, space),
          step_(kernels, plan, parameters, space, data) {}

    void image(Index n, std::span<const Traced> stages, Stop& stop) {
        const std::int64_t order = n;
        step_.begin(&order, 1);
        step_.samples(0, 0, stop);
        const std::size_t L = plan_.convs.size();
        for (std::size_t l = 0; l < L; ++l) conv(l, n, stages[l]);
        for (std::size_t d = 0; d < plan_.denses.size(); ++d) dense(d, n, stages[L + d]);
    }

private:
    void conv(std::size_t l, Index n, const Traced& to) {
        const ConvPlan& c = plan_.convs[l];
        const StageSpec& s = c.spec;
        const Index size = Index(s.I) * s.J * s.K, pixel = round_up(s.K, 8);
        const Buffer<float> plane(Index(s.I) * s.J * pixel);
        const Grid z{plane.get(), s.J * pixel, pixel};
        passes_.affine(arena_, l, 0, z);
        copy(z, s.I, s.J, s.K, to.z + n * size);
        copy(passes_.output(arena_, l, 0, rows_.x[0].get()), c.rows, c.columns, s.K,
             to.out + n * c.rows * c.columns * s.K);
        delta(l, to.delta + n * size);
        if (l == 0) return;
        const Grid dx{arena_.errors[l].get() + c.interior, c.shape.x_row, c.shape.x_pixel};
        copy(dx, s.H, s.W, s.R, to.dx + n * s.H * s.W * s.R);
    }

    void delta(std::size_t l, float* to) {
        const ConvPlan& c = plan_.convs[l];
        const StageSpec& s = c.spec;
        if (!c.pooled)
            return copy({arena_.deltas[l].get() + c.delta_interior, c.delta_row, round_up(s.K, 8)},
                        s.I, s.J, s.K, to);
        const Survivors list = passes_.survivors(arena_, l, 0, 0, c.rows, nullptr);
        std::memset(to, 0, sizeof(float) * s.I * s.J * s.K);
        Passes::each_survivor(c, list, [&](Index i, Index j, int k, float error) {
            to[(i * s.J + j) * s.K + k] += error;
        });
    }

    void dense(std::size_t d, Index n, const Traced& to) {
        const DensePlan& s = plan_.denses[d];
        const auto row = [](const float* from, Index size, float* into, Index at) {
            std::memcpy(into + at * size, from, size * sizeof(float));
        };
        row(rows_.z[d].get(), s.M, to.z, n);
        row(rows_.input(plan_, d + 1), s.M, to.out, n);
        row(rows_.delta[d].get(), s.M, to.delta, n);
        const Buffer<float> dx(passes_.x_row(d));
        passes_.dense_error(arena_, d, rows_.delta[d].get(), 1, dx.get());
        row(dx.get(), s.N, to.dx, n);
    }

    static void copy(const Grid& from, Index rows, Index columns, Index channels, float* to) {
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < columns; ++j, to += channels)
                std::memcpy(to, from.at + i * from.row + j * from.pixel, channels * sizeof(float));
    }

    const Kernels& k_;
    const Plan& plan_;
    const Arena& arena_;
    const DenseRows& rows_;
    const Passes passes_;
    Step step_;
};

}  // namespace convlet
