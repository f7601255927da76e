// What training draws at random for each sample: its augmented image, and dropout.  Everything is
// keyed by (seed, epoch, sample), so that neither threads nor minibatches show in it.
#pragma once

#include <bit>
#include <optional>

#include "job.h"
#include "workspace.h"

namespace convlet {

// Dropout is keyed by the stage and the place of the layer among its dropout layers.
constexpr std::uint64_t dropout_place(std::size_t stage, std::size_t place) {
    return static_cast<std::uint64_t>(stage) << 16 | place;
}

class Regularisation {
public:
    Regularisation(const Kernels& kernels, const std::optional<Augmentation>& augmentation,
                   std::uint64_t seed, std::uint64_t epoch)
        : k_(kernels), augmentation_(augmentation), seed_(seed), epoch_(epoch) {}

    bool augments() const { return augmentation_.has_value(); }

    // Image `row` of those at hand, which is number `sample` of all, augmented, into `to`.
    void augment(const Arena& arena, const Images& images, Index row, Index sample, Grid to) const {
        const Augmentation& a = *augmentation_;
        const int H = images.rows, W = images.columns, R = images.channels;
        Philox words(seed_, Purpose::augment, static_cast<std::uint64_t>(sample), 0, epoch_);
        const Affine map = a.draw(words);
        const Index bordered_row = Index(W + 3) * R;
        for (int i = 0; i < H; ++i)
            images.copy(k_, (row * H + i) * W * R, Index(W) * R,
                        arena.bordered.get() + (i + 1) * bordered_row + R);
        float *dy = nullptr, *dx = nullptr;
        if (!a.taps.empty()) {
            dy = arena.field[0].get(), dx = arena.field[1].get();
            draw_field(sample, Index(H) * W, dy, dx);
            const int reach = a.radius(H, W);
            for (float* field : {dy, dx})
                k_.smooth(field, H, W, a.taps_within(reach), reach, arena.scratch_field.get());
        }
        k_.warp(arena.bordered.get(), H, W, R, map, dy, dx, a.elastic, to);
    }

    // Layer `layer` of sigma of convolutional stage `stage` is dropout: x (rows, columns, K) of one
    // sample is scaled, and what it drops has no way back.
    void drop(const Arena& arena, const ConvPlan& c, std::size_t stage, std::size_t layer,
              Index sample, int rows, int columns, Grid x, Winner* winner) const {
        std::size_t place = 0;
        for (std::size_t n = 0; n < layer; ++n)
            place += c.spec.sigma[n].kind == SigmaLayer::Kind::dropout;
        const int K = c.spec.K;
        const Index pixel = round_up(K, 8);
        float* mask = arena.mask.get();
        each_kept(stage, place, c.spec.sigma[layer].number, sample, Index(rows) * columns * K,
                  [&](Index unit, Index count, const float* kept) {
                      std::memcpy(mask + unit, kept, count * sizeof(float));
                  });
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j, mask += K) {
                float* at = x.at + i * x.row + j * x.pixel;
                Winner* to = winner + (Index(i) * columns + j) * pixel;
                for (int k = 0; k < K; ++k) {
                    at[k] *= mask[k];
                    to[k] = mask[k] > 0 ? to[k] : -1;
                }
            }
    }

    // The product of all dropout layers of dense stage `stage`, (M) of one sample.
    void dense_mask(const DensePlan& dense, std::size_t stage, Index sample, float* mask) const {
        for (std::size_t n = 0; n < dense.drops.size(); ++n)
            each_kept(stage, n, dense.drops[n], sample, dense.M,
                      [&](Index unit, Index count, const float* kept) {
                          for (Index k = 0; k < count; ++k)
                              mask[unit + k] = n ? mask[unit + k] * kept[k] : kept[k];
                      });
    }

private:
    // 0, or 1 / (1 - rate), for unit (i, j, k) by the next 32 bits: use(first, count, factors), eight
    // units at a time.
    template <class Use>
    void each_kept(std::size_t stage, std::size_t place, float rate, Index sample, Index units,
                   const Use& use) const {
        Philox words(seed_, Purpose::dropout, static_cast<std::uint64_t>(sample),
                     dropout_place(stage, place), epoch_);
        const auto threshold = static_cast<std::uint32_t>(double(rate) * 0x1p32);
        const auto scale = std::bit_cast<std::uint32_t>(1 / (1 - rate));
        // without a branch: nobody can foretell which way it goes
        const auto factor = [&](std::uint32_t number) {
            return std::bit_cast<float>(scale & (0 - std::uint32_t(number >= threshold)));
        };
        for (Index unit = 0; unit < units; unit += 8) {
            const Philox::Block block = words.block();
            float kept[8];
            for (int k = 0; k < 4; ++k) {
                kept[2 * k] = factor(static_cast<std::uint32_t>(block[k]));
                kept[2 * k + 1] = factor(static_cast<std::uint32_t>(block[k] >> 32));
            }
            if (const Index left = units - unit; left < 8)
                use(unit, left, kept);
            else
                use(unit, 8, kept);  // a constant
        }
    }

    // The elastic field before it is smoothed, uniform in [-1, 1): a word has both numbers of a
    // pixel.
    void draw_field(Index sample, Index size, float* dy, float* dx) const {
        const auto number = [](std::uint64_t word) {
            return 0x1p-31f * static_cast<float>(static_cast<std::int32_t>(word));
        };
        Philox noise(seed_, Purpose::augment, static_cast<std::uint64_t>(sample), 1, epoch_);
        for (Index n = 0; n < size; n += 4) {
            const Philox::Block block = noise.block();
            for (Index k = 0; k < 4 && n + k < size; ++k) {
                dy[n + k] = number(block[k]);
                dx[n + k] = number(block[k] >> 32);
            }
        }
    }

    const Kernels& k_;
    const std::optional<Augmentation>& augmentation_;
    const std::uint64_t seed_, epoch_;
};

}  // namespace convlet
