// What the core knows of a network: the stages of (16), (17) in numbers, and how they lie in
// memory.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "job.h"

namespace convlet {

// A layer of sigma^l below the softmax.  Flatten moves no data and is not listed.
struct SigmaLayer {
    enum class Kind { relu, max_pool, dropout };
    static constexpr const char* names[] = {"relu", "max_pool", "dropout"};  // in this order

    Kind kind = Kind::relu;
    int rows = 0, columns = 0, stride_rows = 0, stride_columns = 0;  // of a pool
    float number = 0;                                                // the rate of dropout
    int pooled_rows(int n) const { return (n - rows) / stride_rows + 1; }
    int pooled_columns(int n) const { return (n - columns) / stride_columns + 1; }
};

enum class Bias { none, channel, position };

enum class AffineKind { conv, dense };

struct StageSpec {
    AffineKind affine;
    int H, W, R;        // x^l without its padding; a dense stage has R inputs
    int rows, columns;  // of the kernel: P+1, Q+1
    int s1, s2;
    int above, below, left, right;  // padding
    int I, J, K;                    // z^l; a dense stage has K units
    Bias bias;
    std::vector<SigmaLayer> sigma;
    Index w, b;  // where w^l and b^l begin in the flat vector

    Index multiply_adds() const { return Index(I) * J * rows * columns * R * K; }
    Index bias_size() const {
        switch (bias) {
            case Bias::none: return 0;
            case Bias::channel: return K;
            case Bias::position: return Index(I) * J * K;
        }
        __builtin_unreachable();
    }
};

constexpr Index round_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

// Floats from row to row of n: whole cache lines, and no multiple of 1 KB, which would put the same
// column of all rows into the same few sets of the cache.
constexpr Index spread_row(Index n) {
    const Index row = round_up(n, 16);
    return row % 256 ? row : row + 16;
}

// Pixels of x^l whose row is a and whose column is b modulo the stride: their error (2) is one
// convolution of dJ/dz, of stride 1, by the taps that meet them.
struct Phase {
    int row = 0, column = 0;  // a, b
    ConvShape shape{};
    Index delta = 0;  // where the first window begins in the frame of dJ/dz
    Index dx = 0;     // where the first pixel stands in the error of x^l
    Index taps = 0;   // where its kernel begins in the stage's packed copy
};

// A convolutional stage as the kernels see it.
struct ConvPlan {
    StageSpec spec{};
    ConvShape shape{};
    int rows = 0, columns = 0;  // of the output, after sigma
    Index frame = 0;            // floats of x^l with its padding
    Index interior = 0;         // where x^l itself begins in the frame
    bool layered = true;        // whether sigma is computed layer by layer
    Fused fused{};              // otherwise what is computed with (1); dropout follows
    int fused_layers = 0;       // layers of sigma in `fused`
    bool winograd = false;      // whether (1) takes Winograd's form
    float kept_scale = 1;       // product of 1 / (1 - rate) over its dropout layers
    Index winners = 0;          // numbers of one sample
    Index dw = 0, db = 0;       // where the stage begins in a block's partial gradient
    Index packed = 0;           // where its kernel begins in the packed copy for (2)
    Index taps = 0;             // and in the one for Winograd's form of (1)
    Index turned = 0;           // and where in the copy of kernels that are in it
    bool pooled = false;        // whether a pool is among sigma^l: its errors are lists then
    int band = 0;               // rows of windows that are listed at a time
    // Without a pool dJ/dz stands in a frame of its own, among zeros as far as a kernel reaches, and
    // these phases make the error of x^l of it.
    Index delta_frame = 0, delta_row = 0, delta_interior = 0;
    std::vector<Phase> phases;
    Index dx_taps = -1;  // where the kernel of (2) begins in Winograd's form; -1: not in it
    Index sums = 0;      // floats of the sums of (3) in Winograd's form; 0: not in it
    BiasView bias(const float* parameters, const float* zeros) const {
        const float* b = parameters + spec.b;
        switch (spec.bias) {
            case Bias::none: return {zeros, 0, 0};
            case Bias::channel: return {b, 0, 0};
            case Bias::position: return {b, Index(spec.J) * spec.K, spec.K};
        }
        __builtin_unreachable();
    }
};

// Some rows and channels of a convolutional stage's output as a stage of its own, which begins with
// `row` and `channel` of the whole one's output and with `z_row` of its z.
struct ConvPart {
    ConvPlan plan;
    int row, z_row, channel;
    bool turns;  // whether its kernel in Winograd's form is for it alone
};

struct DensePlan {
    int N, M;
    Index z_row;               // floats from sample to sample
    int relus;                 // layers of sigma^l that are ReLU
    std::vector<float> drops;  // rates of those that are dropout
    bool bias;
    Index w, b;
    bool changes() const { return relus > 0 || !drops.empty(); }
    // Rows of (8) that are summed at a time where there are several shards: all of them in a cache.
    int rows_of_shards() const { return static_cast<int>(std::max<Index>(8, 8192 / M / 8 * 8)); }
};

// What one thread takes in phase B: part of one stage's gradient, a range of the flat vector.
struct UpdateItem {
    enum class Kind { conv_w, dense_w, conv_b, dense_b } kind;
    int stage;        // among the convolutional or among the dense ones
    int first, last;  // kernel rows p, or inputs i
    Index begin, end;
};

// Input channels [first, last) of a kernel that is turned for Winograd's form: that of (1), or of (2).
struct TapsItem {
    int stage, first, last;
    bool back;
};

inline constexpr int block = 8;  // samples whose convolution gradients are one chain

// A network, laid out.  A call reads it, nobody changes it.
struct Plan {
    std::vector<ConvPlan> convs;
    std::vector<DensePlan> denses;
    std::vector<UpdateItem> items;
    std::vector<TapsItem> taps_items, dx_taps_items;  // of (1), of (2)
    Index input;                                      // numbers of an image
    Index parameters;                                 // floats of the flat vector
    int features;  // what the convolutional part hands to the first dense stage
    Index features_row;
    int classes;
    Index partial = 0;        // floats of a block's partial gradient
    Index packed = 0;         // floats of all packed copies for (2)
    Index taps = 0;           // floats of all kernels in Winograd's form
    Index turned = 0;         // of those of (1), as they are without it
    Index scratch = 0;        // floats that Winograd's form needs at most
    Index mask = 0;           // floats of the largest dropout in a convolutional stage
    Index plane = 0;          // floats of the largest z^l that is layered, channels rounded up to 8
    Index survivors = 0;      // the most room of a stage's lists
    Index widest_map;         // the largest N or M of a dense stage, or the features
    Index multiply_adds = 0;  // of one image, forward
    Index share;              // multiply-adds, the least that are worth an item of a phase
    Index sample = 0;         // floats of a sample's way forward that wait for its way back
    Index most_rows = 0;      // floats of `rows_of_shards` at most
    // Samples whose way forward a thread keeps for the way back: some 32 MB, but one at least.
    int most_kept() const {
        int count = 32;
        while (count > 1 && count * sample > 8'000'000) count /= 2;
        return count;
    }
    // Samples that a thread takes at a time, some 50 milliseconds at most: the others wait for it.
    // Without convolutions more of them, and twice as many where there is no way back, so that
    // weights larger than a cache are read less often, where 128 of their rows take no more than 4 MB.
    int most_chunk(bool way_back) const {
        if (convs.empty() && multiply_adds <= 4'000'000 && 128 * widest_map <= 1 << 20)
            return way_back ? 128 : 256;
        const int most = multiply_adds <= 16'000'000   ? 32
                         : multiply_adds <= 64'000'000 ? 16
                                                       : block;
        return std::clamp(most_kept(), block, most);
    }

    // Samples of an item of phase A in a minibatch of so many: a power of two.
    int chunk(int threads, Index batch) const {
        const auto share = static_cast<std::size_t>((batch + threads - 1) / threads);
        return static_cast<int>(
            std::clamp<std::size_t>(std::bit_ceil(share), block, most_chunk(true)));
    }

    Plan(const std::vector<StageSpec>& stages, Index parameters, Index share);

    // What the threads of a team take of a stage for one image; one part where the stage is small.
    // Kernels that parts turn for themselves lie from `taps` and `turned` on, which move past them.
    std::vector<ConvPart> parts(const ConvPlan& c, int threads, Index& taps, Index& turned) const;
    // In how many parts a team in training takes the units of the first stage, where each of its threads
    // keeps some of them for itself; 0 where it does not.
    int unit_parts(int threads) const;
    // Units of a dense stage that a thread takes at a time, for so many samples.
    int units_at_a_time(const DensePlan& s, int samples, int threads) const;

private:
    int parts_of(Index work, int threads) const;
    void add_conv(const StageSpec& s);
    Index add_winograd(const ConvShape& shape, bool back);
    void add_dense(const StageSpec& s);
};

}  // namespace convlet
