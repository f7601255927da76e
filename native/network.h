// What the core knows of a network: the stages of (16), (17) in numbers, and how they lie in
// memory.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

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

// A convolutional stage as the kernels see it.
struct ConvPlan {
    StageSpec spec{};
    ConvShape shape{};
    int rows = 0, columns = 0;  // of the output, after sigma
    Index frame = 0;            // floats of x^l with its padding
    Index interior = 0;         // where x^l itself begins in the frame
    int fused_layers = 0;       // of sigma that conv_pool does; the others are dropout
    Fused fused{};
    bool winograd = false;  // whether they take Winograd's form
    float kept_scale = 1;   // product of 1 / (1 - rate) over its dropout layers
    Index winners = 0;      // numbers of one sample
    Index dw = 0, db = 0;   // where the stage begins in a block's partial gradient
    Index packed = 0;       // where its kernel begins in the packed copy for (2)
    Index taps = 0;         // and in the one for Winograd's form
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

struct DensePlan {
    int N, M;
    Index z_row;               // floats from sample to sample
    int relus;                 // layers of sigma^l that are ReLU
    std::vector<float> drops;  // rates of those that are dropout
    bool bias;
    Index w, b;
    bool changes() const { return relus > 0 || !drops.empty(); }
};

// What one thread takes in phase B: part of one stage's gradient, a range of the flat vector.
struct UpdateItem {
    enum class Kind { conv_w, dense_w, conv_b, dense_b } kind;
    int stage;        // among the convolutional or among the dense ones
    int first, last;  // kernel rows p, or inputs i
    Index begin, end;
};

// Input channels [first, last) of a kernel that is turned for Winograd's form.
struct TapsItem {
    int stage, first, last;
};

inline constexpr int block = 8;  // samples whose convolution gradients are one chain

// A network, laid out.  A call reads it, nobody changes it.
struct Plan {
    std::vector<ConvPlan> convs;
    std::vector<DensePlan> denses;
    std::vector<UpdateItem> items;
    std::vector<TapsItem> taps_items;
    Index input;       // numbers of an image
    Index parameters;  // floats of the flat vector
    int features;      // what the convolutional part hands to the first dense stage
    Index features_row;
    int classes;
    Index partial = 0;        // floats of a block's partial gradient
    Index packed = 0;         // floats of all packed copies for (2)
    Index taps = 0;           // floats of all kernels in Winograd's form
    Index scratch = 0;        // floats that the largest of these stages needs
    Index mask = 0;           // floats of the largest dropout in a convolutional stage
    Index plane = 0;          // floats of the largest z^l, channels rounded up to 8
    Index survivors = 0;      // the most room of a stage's lists
    Index widest_map;         // the largest N or M of a dense stage, or the features
    Index multiply_adds = 0;  // of one image, forward
    // Samples that a thread takes at a time, some 50 milliseconds at most: the others wait for it.
    int most_chunk() const {
        return multiply_adds <= 16'000'000 ? 32 : multiply_adds <= 32'000'000 ? 16 : block;
    }

    Plan(const std::vector<StageSpec>& stages, Index parameters);

private:
    void add_conv(const StageSpec& s);
    void add_winograd(ConvPlan& plan);
    void add_dense(const StageSpec& s);
};

}  // namespace convlet
