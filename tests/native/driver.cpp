// The native core without Python: the ends of arrays (edges.h), then every kernel over many shapes
// and pseudo-random data and the whole engine, printing a hash of every result.  Two targets are
// equal where their output is.
//
//   driver TARGET           the hashes; fails where an end is wrong
//   driver TARGET stress    threads that train and predict at once, for ThreadSanitizer; fails if
//                           any of them gets other bits
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "edges.h"
#include "engine.h"
#include "threads.h"

using namespace convlet;

namespace {

const Kernels* kernels_of(const std::string& name) {
#if defined(__x86_64__)
    if (name == "avx2") return &avx2::kernels;
    if (name == "avx512") return &avx512::kernels;
#elif defined(__aarch64__)
    if (name == "neon") return &neon::kernels;
#endif
    return nullptr;
}

// xorshift64*: the same numbers everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}
    std::uint32_t word() {
        state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
        return static_cast<std::uint32_t>(state_ * 0x2545f4914f6cdd1d >> 32);
    }
    int below(int n) { return static_cast<int>(word() % static_cast<std::uint32_t>(n)); }
    int one_of(std::initializer_list<int> values) {
        return values.begin()[below(static_cast<int>(values.size()))];
    }
    // A multiple of 2^-23 in [-1, 1); 0 one time in eight.
    float number() {
        const std::uint32_t w = word();
        return w % 8 ? static_cast<float>(static_cast<std::int32_t>(w) >> 8) * 0x1p-23f : 0;
    }
    std::vector<float> numbers(Index n, float scale = 1) {
        std::vector<float> all(n);
        for (float& x : all) x = number() * scale;
        return all;
    }

private:
    std::uint64_t state_;
};

// FNV-1a.
class Hash {
public:
    void bytes(const void* at, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i)
            value_ = (value_ ^ static_cast<const unsigned char*>(at)[i]) * 0x100000001b3;
    }
    template <class T>
    void operator()(const std::vector<T>& values) {
        bytes(values.data(), values.size() * sizeof(T));
    }
    unsigned long long value() const { return value_; }

private:
    std::uint64_t value_ = 0xcbf29ce484222325;
};

void report(const char* what, int part, const Hash& hash) {
    std::printf("%-16s %3d %016llx\n", what, part, hash.value());
}

int up8(int n) { return (n + 7) / 8 * 8; }

// ------------------------------------------------------------------------------------ kernels

void convolution(const Kernels& k, int part) {
    Random random(part + 1);
    ConvShape s{};
    s.rows = 1 + random.below(7), s.columns = 1 + random.below(7);
    s.R = random.one_of({1, 1, 1, 2, 3, 8, 9, 16});
    s.K = random.one_of({1, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 66});
    s.s1 = 1 + random.below(3), s.s2 = 1 + random.below(3);
    s.I = 2 + random.below(3), s.J = 2 + random.below(s.K > 16 ? 8 : 27);
    const bool raw = random.below(2);
    s.x_pixel = raw ? s.R : up8(s.R);
    const int columns = (s.J - 1) * s.s2 + s.columns, rows = (s.I - 1) * s.s1 + s.rows;
    s.x_row = columns * s.x_pixel;
    std::vector<float> x = random.numbers(rows * s.x_row + 16);
    for (Index n = 0; n < static_cast<Index>(x.size()); ++n)
        if (n % s.x_pixel >= s.R) x[n] = 0;
    const std::vector<float> w = random.numbers(Index(s.rows) * s.columns * s.R * s.K);
    const std::vector<float> b = random.numbers(Index(s.I) * s.J * s.K);
    const BiasView shared{b.data(), 0, 0}, own{b.data(), Index(s.J) * s.K, s.K};

    Hash forward, fused, sigma, backward;
    const Index lanes = up8(s.K), places = Index(s.I) * s.J;
    std::vector<float> z(places * lanes);
    std::vector<Winner> at(places * lanes), pooled_at(places * lanes);
    for (const Fused order : {Fused::relu, Fused::none}) {
        k.conv(s, order, x.data(), w.data(), part % 2 ? own : shared,
               {z.data(), s.J * lanes, lanes}, at.data());
        forward(z), forward(at);
    }

    const int I = s.I / 2, J = s.J / 2;
    std::vector<Winner> winner(I * J * lanes);
    for (const Fused order : {Fused::pool, Fused::pool_relu, Fused::relu_pool}) {
        std::vector<float> out(Index(I) * J * s.K), alone(out.size());
        const Grid grid{out.data(), Index(J) * s.K, s.K}, twin{alone.data(), Index(J) * s.K, s.K};
        k.conv(s, order, x.data(), w.data(), shared, grid, winner.data());
        k.conv(s, order, x.data(), w.data(), shared, twin, nullptr);
        fused(out), fused(winner), fused(alone);
    }

    std::vector<float> pooled(places * lanes);
    const Grid whole{z.data(), s.J * lanes, lanes}, to{pooled.data(), s.J * lanes, lanes};
    for (const bool way_back : {false, true}) {
        k.relu_winners(whole, s.I, s.J, s.K, way_back ? at.data() : nullptr);
        k.pool_winners(whole, s.J, way_back ? at.data() : nullptr, 2, 2, 1, 1, s.I - 1, s.J - 1,
                       s.K, to, way_back ? pooled_at.data() : nullptr);
        sigma(z), sigma(at), sigma(pooled), sigma(pooled_at);
    }

    const Index stride = survivors_stride(Index(I) * J);
    std::vector<std::int32_t> offset(s.K * stride), count(s.K);
    std::vector<float> delta(s.K * stride), db = random.numbers(s.K);
    std::vector<float> error = random.numbers(Index(I) * J * s.K);
    const Survivors list{offset.data(), delta.data(), count.data(), stride};
    k.survivors(s, winner.data(), {error.data(), Index(J) * s.K, s.K}, I, J, 1.0f, list, db.data());
    for (int c = 0; c < s.K; ++c) {
        backward.bytes(&offset[c * stride], count[c] * sizeof offset[0]);
        backward.bytes(&delta[c * stride], count[c] * sizeof delta[0]);
    }
    backward(count), backward(db);
    const Index run = s.run();
    std::vector<float> dw(s.K * s.rows * run), packed = random.numbers(s.K * s.rows * run);
    k.conv_dw(s, x.data(), list, true, dw.data());
    k.conv_dw(s, x.data(), list, false, dw.data());
    for (Index n = 0; n < s.K * s.rows; ++n)  // not the rest of the last vector
        backward.bytes(&dw[n * run], s.columns * s.x_pixel * sizeof dw[0]);
    if (!raw) {
        std::vector<float> dx(rows * s.x_row + 16);
        for (const bool ordered : {true, false}) {
            s.ordered = ordered;
            k.conv_dw_dx(s, x.data(), packed.data(), list, false, dw.data(), dx.data());
        }
        backward(dx);
    }
    report("conv", part, forward), report("conv_pool", part, fused);
    report("sigma", part, sigma), report("dw, dx", part, backward);
}

// Errors of every place of a sample and their sums, (3) of two samples, and (1), (3) in Winograd's
// form where the shape has a tile.
void no_pool(const Kernels& k, int part) {
    Random random(part + 501);
    ConvShape s{};
    const bool tiles = part % 2;
    s.rows = tiles ? random.one_of({3, 3, 5}) : 1 + random.below(5);
    s.columns = tiles ? s.rows : 1 + random.below(5);
    s.R = random.one_of({1, 3, 8, 9, 16, 32}), s.K = random.one_of({3, 8, 9, 16, 17, 24, 33, 66});
    s.s1 = tiles ? 1 : 1 + random.below(3), s.s2 = tiles ? 1 : 1 + random.below(3);
    s.I = 1 + random.below(10), s.J = 1 + random.below(36);
    if (tiles) s.tile = s.rows == 5 ? 2 : random.one_of({2, 4});
    s.x_pixel = tiles || random.below(2) ? up8(s.R) : s.R;
    s.x_row = ((s.J - 1) * s.s2 + s.columns) * s.x_pixel;
    std::vector<float> x = random.numbers(((s.I - 1) * s.s1 + s.rows) * s.x_row + 16);
    for (Index n = 0; n < static_cast<Index>(x.size()); ++n)
        if (n % s.x_pixel >= s.R || (n / s.x_pixel) % 7 > 2) x[n] = 0;
    const Index lanes = up8(s.K), places = Index(s.I) * s.J;
    const Index taps_of = Index(s.rows) * s.columns * s.R * s.K;

    Hash back, fast;
    std::vector<Winner> winner(places * lanes);
    for (Winner& at : winner) at = random.below(3) ? random.below(3) << winner_bits : -1;
    std::vector<float> above = random.numbers(places * s.K), db = random.numbers(s.K);
    std::vector<float> delta(places * lanes), dw(taps_of);
    const Grid errors{delta.data(), s.J * lanes, lanes};
    k.errors(s, winner.data(), {above.data(), Index(s.J) * s.K, s.K}, 1.25f, errors, db.data());
    for (const bool first : {true, false})
        k.conv_dw_of_errors(s, x.data(), errors, first, dw.data());
    back(delta), back(db), back(dw);
    report("errors, dw", part, back);
    if (!tiles) return;

    const std::vector<float> w = random.numbers(taps_of), b = random.numbers(places * s.K);
    const BiasView bias =
        part % 4 == 1 ? BiasView{b.data(), 0, 0} : BiasView{b.data(), Index(s.J) * s.K, s.K};
    std::vector<float> taps(winograd_taps_size(s)), scratch(winograd_scratch(s));
    k.winograd_taps(s, w.data(), 0, s.R, taps.data());
    fast(taps);
    for (const Fused order :
         {Fused::none, Fused::relu, Fused::pool, Fused::pool_relu, Fused::relu_pool}) {
        const int I = pools(order) ? s.I / 2 : s.I, J = pools(order) ? s.J / 2 : s.J;
        std::vector<float> out(Index(I) * J * s.K), alone(out.size());
        std::vector<Winner> at(Index(I) * J * lanes);
        const Index row = Index(J) * s.K;
        k.winograd(s, order, x.data(), taps.data(), bias, {out.data(), row, s.K}, at.data(),
                   scratch.data());
        k.winograd(s, order, x.data(), taps.data(), bias, {alone.data(), row, s.K}, nullptr,
                   scratch.data());
        fast(out), fast(at), fast(alone);
    }
    std::vector<float> sums(winograd_sums_size(s));
    for (const bool first : {true, false})
        k.winograd_dw(s, x.data(), errors, first, sums.data(), scratch.data());
    k.winograd_dw_sum(s, sums.data(), dw.data());
    fast(sums), fast(dw);
    report("winograd", part, fast);
}

void others(const Kernels& k, int part) {
    Random random(1000 + part);
    Hash products, probabilities, rest;
    const int B = 1 + random.below(33), N = 1 + random.below(70);
    const int M = random.one_of({1, 2, 7, 8, 9, 10, 15, 16, 17, 31, 33, 66, 130});
    const std::vector<float> x = random.numbers(B * N), w = random.numbers(N * M);
    const std::vector<float> b = random.numbers(M), delta = random.numbers(B * M);
    std::vector<float> z(B * M), dx(N * B), dw(N * M), turned(M * B);
    k.product({x.data(), N, 1}, B, N, w.data(), M, M, b.data(), z.data(), M);
    k.transpose(delta.data(), M, B, M, turned.data(), B);
    k.product({w.data(), M, 1}, N, M, turned.data(), B, B, nullptr, dx.data(), B);
    k.product({x.data(), 1, N}, N, B, delta.data(), M, M, nullptr, dw.data(), M);
    const int rows = 13 + random.below(20), depth = 65 + random.below(300), columns = 257 + N;
    const std::vector<float> left = random.numbers(rows * depth);
    const std::vector<float> right = random.numbers(depth * columns);
    std::vector<float> packed(rows * columns);  // the panels of `right` are copied
    k.product({left.data(), depth, 1}, rows, depth, right.data(), columns, columns, right.data(),
              packed.data(), columns);
    products(packed);
    // one row, a matrix beyond L1 or L2
    const int terms = (1 << (part % 2 ? 17 : 19)) / columns + 1 + random.below(20);
    const std::vector<float> matrix = random.numbers(terms * columns);
    std::vector<float> row = random.numbers(terms), sums(columns);
    for (float& factor : row)
        if (random.below(2)) factor = 0;
    k.product({row.data(), terms, 1}, 1, terms, matrix.data(), columns, columns, nullptr,
              sums.data(), columns);
    products(sums);
    products(z), products(turned), products(dx), products(dw);

    const int lanes = up8(B);
    const float scale = 1.0f * (1 << random.below(8));
    std::vector<float> logits = random.numbers(M * lanes, scale);
    if (part % 2) logits[0] = 3e38f, logits.back() = -3e38f;  // 6e38 is no float
    if (part % 2 && M > 1) logits[(M - 1) * lanes] = -3e38f;
    std::vector<float> soft = logits;
    std::vector<float> cost(lanes), truth(M * lanes), factor = random.numbers(lanes);
    for (int s = 0; s < lanes; ++s) truth[random.below(M) * lanes + s] = 1;
    k.softmax(soft.data(), M, lanes);
    k.cross_entropy(logits.data(), truth.data(), factor.data(), M, lanes, cost.data());
    probabilities(soft), probabilities(logits), probabilities(cost);

    std::vector<std::uint8_t> u(1 + random.below(300));
    for (auto& level : u) level = static_cast<std::uint8_t>(random.word());
    std::vector<float> scaled(u.size()), a = x, rectified(a.size()), sum(N), step = x;
    k.scale_bytes(u.data(), static_cast<Index>(u.size()), scaled.data());
    const Index n = static_cast<Index>(a.size());
    const std::vector<float> other = random.numbers(n);
    k.relu(x.data(), n, rectified.data());
    k.relu_backward(x.data(), 0.5f, n, a.data());
    k.add(a.data(), other.data(), n);
    UpdateRule rule;
    rule.rate = 0.1f;
    k.update(rule, step.data(), other.data(), nullptr, nullptr, n);
    k.add_rows(x.data(), N, B, N, sum.data());
    rest(scaled), rest(rectified), rest(a), rest(step), rest(sum);
    using Kind = UpdateRule::Kind;
    for (const Kind kind : {Kind::momentum, Kind::nesterov, Kind::adam}) {
        rule = {kind, 0.1f, 0.99f, 0.5f, 0.9f, 0.99f, 0.1f, 0.01f, 10, 100, 1e-6f};
        std::vector<float> m = random.numbers(n), v = random.numbers(n);
        for (float& square : v) square *= square;
        k.update(rule, step.data(), other.data(), m.data(), v.data(), n);
        rest(step), rest(m), rest(v);
        std::vector<float> weights = w, mean = random.numbers(N * M), square = mean;
        for (float& one : square) one *= one;
        k.product_update(rule, {x.data(), 1, N}, N, B, 1 + part % 5, delta.data(), M, M,
                         weights.data(), M, mean.data(), square.data());
        rest(weights), rest(mean), rest(square);
    }
    rule.kind = Kind::sgd;
    std::vector<float> descended = w;
    k.product_update(rule, {x.data(), 1, N}, N, B, 1, delta.data(), M, M, descended.data(), M,
                     nullptr, nullptr);
    rest(descended);
    k.multiply(a.data(), other.data(), n);
    const std::vector<double> squares{k.squares(x.data(), n)};
    rest(a), rest(squares);
    report("product", part, products), report("softmax", part, probabilities);
    report("elementwise", part, rest);
}

// Products with so many zeros that they are skipped, on some targets only for these widths.
void sparse(const Kernels& k, int part) {
    Random random(3000 + part);
    const auto zeros = [&](std::vector<float> a) {
        for (float& one : a) one = one > 0 ? one : 0;
        return a;
    };
    Hash hash;
    const int B = 96 + random.below(40), N = 64 + random.below(200), M = 64 + random.below(200);
    const std::vector<float> x = zeros(random.numbers(B * N)), delta = zeros(random.numbers(B * M));
    std::vector<float> w = random.numbers(N * M), z(B * M), dx(B * N), m = w, v = w;
    k.product({x.data(), N, 1}, B, N, w.data(), M, M, w.data(), z.data(), M);
    const int done = k.sparse_error(delta.data(), M, B, M, w.data(), N, dx.data(), N);
    std::vector<float> turned(M * B), rest((N - done) * B);
    k.transpose(delta.data(), M, B, M, turned.data(), B);
    if (done < N)
        k.product({w.data() + done * M, M, 1}, N - done, M, turned.data(), B, B, nullptr,
                  rest.data(), B);
    k.transpose(rest.data(), B, N - done, B, dx.data() + done, N);
    for (float& square : v) square *= square;
    const UpdateRule rule{
        UpdateRule::Kind::adam, 0.1f, 0.99f, 0.5f, 0.9f, 0.99f, 0.1f, 0.01f, 10, 100, 1e-6f};
    k.product_update(rule, {x.data(), 1, N}, N, B, 1 + part % 2, delta.data(), M, M, w.data(), M,
                     m.data(), v.data());
    hash(z), hash(dx), hash(w), hash(m), hash(v);
    report("sparse", part, hash);
}

void augmentation(const Kernels& k, int part) {
    Random random(2000 + part);
    Hash hash;
    const int H = 1 + random.below(30), W = 1 + random.below(30), R = random.one_of({1, 1, 2, 3});
    const int radius = random.below(14);
    std::vector<float> taps = random.numbers(2 * radius + 1);
    std::vector<float> scratch(H * smooth_row(W, radius));
    std::vector<float> dy = random.numbers(H * W), dx = random.numbers(H * W);
    k.smooth(dy.data(), H, W, taps.data(), radius, scratch.data());
    hash(dy);
    const Index row = Index(W + 3) * R;
    std::vector<float> bordered((H + 3) * row), out(Index(H) * W * R);
    for (int i = 0; i < H; ++i)
        for (int n = 0; n < W * R; ++n) bordered[(i + 1) * row + R + n] = random.number();
    const Affine map{1 + random.number(), random.number(),     random.number(),
                     1 + random.number(), 3 * random.number(), 3 * random.number()};
    const bool elastic = part % 2;
    k.warp(bordered.data(), H, W, R, map, elastic ? dy.data() : nullptr,
           elastic ? dx.data() : nullptr, 2, {out.data(), Index(W) * R, R});
    hash(out);
    report("augmentation", part, hash);
}

// ------------------------------------------------------------------------------------- engine

struct Shape {
    int rows, columns, channels;
};

// Layers one after the other, as src/convlet/native.py hands them over.
class Builder {
public:
    explicit Builder(Shape input) : input(input), shape_(input) {}
    Builder& conv(int K, int rows, int columns, int s1, int s2, int padding, Bias bias) {
        StageSpec s{};
        s.affine = AffineKind::conv;
        s.H = shape_.rows, s.W = shape_.columns, s.R = shape_.channels;
        s.rows = rows, s.columns = columns, s.s1 = s1, s.s2 = s2;
        s.above = s.below = s.left = s.right = padding;
        s.I = (s.H + 2 * padding - rows) / s1 + 1, s.J = (s.W + 2 * padding - columns) / s2 + 1;
        s.K = K;
        const Index biases = bias == Bias::position ? Index(s.I) * s.J * K : K;
        append(s, Index(rows) * columns * s.R * K, bias, biases);
        shape_ = {s.I, s.J, K};
        return *this;
    }
    Builder& relu() {
        stages.back().sigma.push_back({SigmaLayer::Kind::relu});
        return *this;
    }
    Builder& pool(int size, int stride) {
        stages.back().sigma.push_back({SigmaLayer::Kind::max_pool, size, size, stride, stride});
        shape_.rows = (shape_.rows - size) / stride + 1;
        shape_.columns = (shape_.columns - size) / stride + 1;
        return *this;
    }
    Builder& drop(float rate) {
        stages.back().sigma.push_back({SigmaLayer::Kind::dropout, 0, 0, 0, 0, rate});
        return *this;
    }
    Builder& dense(int M) {
        StageSpec s{};
        s.affine = AffineKind::dense;
        s.H = s.W = s.rows = s.columns = s.s1 = s.s2 = s.I = s.J = 1;
        s.R = shape_.rows * shape_.columns * shape_.channels, s.K = M;
        append(s, Index(s.R) * M, Bias::channel, M);
        shape_ = {1, 1, M};
        return *this;
    }
    Shape input;
    std::vector<StageSpec> stages;
    Index parameters = 0;

private:
    void append(StageSpec s, Index weights, Bias bias, Index biases) {
        s.bias = bias;
        s.w = parameters;
        s.b = s.w + weights;
        parameters = s.b + (bias == Bias::none ? 0 : biases);
        stages.push_back(s);
    }
    Shape shape_;
};

std::vector<Builder> networks() {
    const Bias one = Bias::channel;
    Builder usual({16, 16, 1}), odd({11, 12, 2}), plain({5, 5, 1}), wide({9, 9, 8});
    Builder overlapping({12, 12, 1});  // survivors in no order, under runs of 80 floats
    overlapping.conv(16, 3, 3, 1, 1, 0, one).relu().conv(12, 5, 5, 1, 1, 0, one).relu();
    overlapping.pool(3, 2).dense(6);
    usual.conv(8, 5, 5, 1, 1, 0, one).relu().pool(2, 2).conv(16, 3, 3, 1, 1, 0, one);
    usual.relu().pool(2, 2).drop(0.25f).dense(20).relu().drop(0.5f).dense(10);
    odd.conv(5, 3, 2, 1, 2, 1, Bias::position).pool(3, 2).relu();
    odd.conv(9, 2, 2, 1, 1, 1, Bias::none).relu().drop(0.3f).pool(2, 1).relu().dense(7);
    plain.dense(33).relu().relu().dense(4);
    wide.conv(33, 3, 3, 1, 1, 0, one).pool(2, 2).relu().conv(3, 3, 3, 1, 1, 0, one);
    Builder twice({11, 14, 2}), large({8, 9, 1}), strided({13, 12, 2});  // no pools
    twice.conv(16, 3, 3, 1, 1, 1, one).relu().conv(16, 3, 3, 1, 1, 1, one).relu();
    twice.conv(16, 3, 3, 1, 1, 1, Bias::position).relu().drop(0.25f).dense(5);
    large.conv(16, 2, 2, 1, 1, 1, one).relu().conv(16, 5, 5, 1, 1, 2, one).relu().dense(4);
    strided.conv(8, 2, 2, 1, 1, 0, one).relu().conv(9, 3, 3, 2, 2, 1, one).relu();
    strided.conv(12, 2, 4, 3, 3, 2, Bias::none).relu().dense(6);
    return {usual, odd, plain, wide, overlapping, twice, large, strided};
}

struct Run {
    std::vector<float> parameters, probabilities, gradient;
    std::vector<double> costs;
    bool operator==(const Run&) const = default;
};

// All that a step can do, or plain descent.
enum class Way { plain, rich };

Run run(Engine& engine, const Builder& net, int threads, int steps, int batch,
        Way way = Way::rich) {
    Random random(77);
    const Plan& plan = engine.plan();
    const int n = 45;
    std::vector<std::uint8_t> bytes(n * plan.input);
    for (auto& level : bytes)
        level = static_cast<std::uint8_t>(random.below(4) ? random.word() : 0);
    std::vector<std::int32_t> classes(n);
    for (auto& c : classes) c = random.below(plan.classes);
    std::vector<float> weight(n);
    for (float& omega : weight) omega = static_cast<float>(1 + random.below(5));
    std::vector<std::int64_t> order(steps * batch);
    for (auto& sample : order) sample = random.below(n);

    Run result;
    result.parameters = random.numbers(net.parameters, 0.25f);
    result.costs.resize(steps);
    result.gradient.resize(net.parameters);
    result.probabilities.resize(n * plan.classes);
    const auto [rows, columns, channels] = net.input;
    const Samples data{{bytes.data(), nullptr, rows, columns, channels},
                       {classes.data(), nullptr, weight.data()}};
    float* parameters = result.parameters.data();
    const std::vector<float> rates(steps, 0.05f);
    std::vector<float> m(net.parameters), v(net.parameters);
    std::vector<float*> slots;
    Settings settings;
    settings.batch_size = batch, settings.seed = 3;
    settings.shards = std::min<Index>(batch, 5);
    if (way == Way::rich) {
        settings.optimizer = {UpdateRule::Kind::adam, 0.9, 0.999, 1e-8, 0.01};
        settings.clip_norm = 0.5, settings.label_smoothing = 0.1;
        settings.augmentation = Augmentation{2, 0.3f, 0.1f, 0.2f, true, 20, 3, {}};
        settings.augmentation->prepare();
        slots = {m.data(), v.data()};
    }
    engine.train(parameters, slots, data, {order, rates, 5, 7}, settings, nullptr,
                 result.costs.data(), threads, {});
    const double cost = engine.gradients(parameters, data, n, result.gradient.data(), threads, {});
    engine.predict(parameters, data.images, n, true, result.probabilities.data(), threads, {});
    result.costs.push_back(cost);
    return result;
}

// Everything that passes through the network for a few images, there and back.
std::vector<float> traced(Engine& engine, const Builder& net) {
    Random random(78);
    const Plan& plan = engine.plan();
    const int n = 3;
    std::vector<std::uint8_t> bytes(n * plan.input);
    for (auto& level : bytes)
        level = static_cast<std::uint8_t>(random.below(4) ? random.word() : 0);
    const std::vector<std::int32_t> classes{1, 0, 1};
    const std::vector<float> parameters = random.numbers(net.parameters, 0.25f);
    const auto [rows, columns, channels] = net.input;
    std::vector<Index> sizes;
    for (const ConvPlan& c : plan.convs) {
        const StageSpec& s = c.spec;
        const Index z = Index(s.I) * s.J * s.K;
        sizes.insert(sizes.end(), {z, Index(c.rows) * c.columns * s.K, z,
                                   sizes.empty() ? 0 : Index(s.H) * s.W * s.R});
    }
    for (const DensePlan& s : plan.denses) sizes.insert(sizes.end(), {s.M, s.M, s.M, s.N});
    std::vector<float> all(n * std::accumulate(sizes.begin(), sizes.end(), Index(0)));
    std::vector<Traced> stages;
    float* at = all.data();
    for (std::size_t l = 0; l < sizes.size(); l += 4) {
        float* of[4];
        for (int which = 0; which < 4; ++which) of[which] = at, at += n * sizes[l + which];
        stages.push_back({of[0], of[1], of[2], of[3]});
    }
    engine.trace(
        parameters.data(),
        {{bytes.data(), nullptr, rows, columns, channels}, {classes.data(), nullptr, nullptr}}, n,
        stages, {});
    return all;
}

void engines(const Kernels& k) {
    int number = 0;
    for (const Builder& net : networks()) {
        Engine engine(k, net.stages, net.parameters, 1);
        for (const Way way : {Way::plain, Way::rich})
            for (const int threads : {1, 2, 3}) {
                const Run result = run(engine, net, threads, 3, 13 + 8 * number, way);
                Hash hash;
                hash(result.parameters), hash(result.probabilities), hash(result.gradient);
                hash(result.costs);
                std::printf("engine %d on %d threads: %016llx\n", number, threads, hash.value());
            }
        Hash hash;
        hash(traced(engine, net));
        std::printf("engine %d traced: %016llx\n", number, hash.value());
        ++number;
    }
}

// ------------------------------------------------------------------------------------- stress

int stress(const Kernels& k) {
    const std::vector<Builder> nets = networks();
    std::vector<std::unique_ptr<Engine>> engines;
    std::vector<Run> right;
    for (const Builder& net : nets) {
        engines.push_back(std::make_unique<Engine>(k, net.stages, net.parameters, 1));
        right.push_back(run(*engines.back(), net, 1, 3, 40));
    }
    std::vector<std::thread> callers;
    std::vector<int> wrong(6);
    for (int caller = 0; caller < 6; ++caller)
        callers.emplace_back([&, caller] {
            for (int turn = 0; turn < 12; ++turn) {
                const std::size_t net = (caller / 2 + turn) % nets.size();
                const int threads = 1 + (caller + turn) % 5;
                wrong[caller] += run(*engines[net], nets[net], threads, 3, 40) != right[net];
            }
        });
    for (std::thread& caller : callers) caller.join();
    // one caller, so that the pool is always his: many short phases, more threads than CPUs
    int bad = 0;
    for (int turn = 0; turn < 20; ++turn)
        for (std::size_t net = 0; net < nets.size(); ++net)
            bad += run(*engines[net], nets[net], 2 + turn % 7, 3, 40) != right[net];
    for (const int n : wrong) bad += n;
    for (int turn = 0; turn < 300; ++turn) {
        std::vector<int> done(turn % 50);
        Stop never({});
        run_team(1 + turn % 5, never, [&](Team& team) {
            for (int phase = 0; phase < 20; ++phase)
                team.parallel(std::ssize(done), [&](Index item, int) { ++done[item]; });
        });
        for (const int times : done) bad += times != 20;
    }
    // a phase of several rounds, whose items go on while others are taken
    std::vector<std::atomic<char>> often(2 * Team::items_a_round + 5);
    Stop never({});
    run_team(4, never, [&](Team& team) {
        bad += !team.parallel(std::ssize(often), [&](Index item, int) { ++often[item]; });
    });
    for (const std::atomic<char>& times : often) bad += times != 1;
    std::printf(bad ? "%d runs with other bits\n" : "stress passed\n", bad);
    return bad != 0;
}

}  // namespace

int main(int count, char** arguments) {
    const Kernels* k = count > 1 ? kernels_of(arguments[1]) : nullptr;
    if (!k) return std::fprintf(stderr, "driver TARGET [stress]: no such target here\n"), 2;
    if (count > 2 && std::strcmp(arguments[2], "stress") == 0) return stress(*k);
    const int wrong = Edges(*k).wrong();
    for (int part = 0; part < 250; ++part) convolution(*k, part);
    for (int part = 0; part < 160; ++part) no_pool(*k, part);
    for (int part = 0; part < 100; ++part) others(*k, part);
    for (int part = 0; part < 40; ++part) sparse(*k, part);
    for (int part = 0; part < 40; ++part) augmentation(*k, part);
    engines(*k);
    return wrong != 0;
}
