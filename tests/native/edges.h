// The ends of arrays: kernels over arrays with a page that nothing may touch before or behind them,
// for every number of lanes in a cut vector, every set of surviving lanes, every shape of a
// transposed corner.  Numbers are small integers, so that what must come out is exact.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels.h"

namespace convlet {

enum class Side { before, behind };  // of the array, where the page is

// n numbers.  What lies between them and the page on their other side is marked.
template <class T>
class Fenced {
public:
    template <class F>
    Fenced(Index n, Side side, const F& value) : n_(n) {
        const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t bytes = n * sizeof(T);
        room_ = bytes / page * page + page;
        size_ = room_ + 2 * page;
        void* map = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) std::perror("mmap"), std::exit(2);
        base_ = static_cast<unsigned char*>(map);
        inside_ = base_ + page;
        if (mprotect(inside_, room_, PROT_READ | PROT_WRITE)) std::perror("mprotect"), std::exit(2);
        std::memset(inside_, mark, room_);
        first_ = side == Side::before ? inside_ : inside_ + room_ - bytes;
        for (Index i = 0; i < n; ++i) at()[i] = static_cast<T>(value(i));
    }
    Fenced(Index n, Side side) : Fenced(n, side, [](Index) { return marked(); }) {}
    Fenced(const Fenced&) = delete;
    ~Fenced() { munmap(base_, size_); }

    T* at() const { return reinterpret_cast<T*>(first_); }
    T operator[](Index i) const { return at()[i]; }
    bool untouched(Index i) const {
        const T old = marked();
        return std::memcmp(&at()[i], &old, sizeof(T)) == 0;
    }
    // Whether all the marks around the array are there.
    bool kept() const {
        const unsigned char* last = first_ + n_ * sizeof(T);
        for (const unsigned char* byte = inside_; byte != inside_ + room_; ++byte)
            if ((byte < first_ || byte >= last) && *byte != mark) return false;
        return true;
    }

private:
    static constexpr unsigned char mark = 0x5a;
    static T marked() {
        T value;
        std::memset(&value, mark, sizeof(T));
        return value;
    }
    Index n_;
    std::size_t room_, size_;
    unsigned char *base_, *inside_, *first_;
};

class Edges {
public:
    explicit Edges(const Kernels& kernels) : k(kernels) {}

    // Returns how many results are wrong; a touched page ends the program.
    int wrong() {
        for (const Side side : {Side::before, Side::behind}) {
            side_ = side;
            for (int n = 1; n <= 33; ++n) elementwise(n), products(n), bytes(n);
            for (const int more : {0, 1, 7, 63})
                for (const int rows : {96, 97, 130}) skipped(rows, 64 + more, 128 + more);
            for (int rows = 1; rows <= 17; ++rows)
                for (int columns = 1; columns <= 17; ++columns) transposed(rows, columns);
            for (int K = 1; K <= 33; ++K)
                for (const int size : {1, 3, 5})
                    for (const int R : {1, 2, 8}) convolution(K, size, R);
            for (int set = 0; set < 256; ++set) packed(8, set);
            for (int K = 1; K <= 17; ++K)
                for (int set = 0; set < 256; set += 15) packed(K, set);
        }
        return wrong_;
    }

private:
    static float small(Index i) { return static_cast<float>(i * 7 % 11 - 5); }
    static float other(Index i) { return static_cast<float>(i * 5 % 7 - 3); }

    void expect(bool right, const char* what, int n, int m = 0) {
        if (right) return;
        std::printf("%s %d %d: wrong\n", what, n, m);
        ++wrong_;
    }

    // kernel(a, b) makes value(a, b) of each a.
    template <class F, class G>
    void each(const char* what, int n, const F& kernel, const G& value) {
        const Fenced<float> a(n, side_, small), b(n, side_, other);
        kernel(a.at(), b.at());
        bool right = a.kept() && b.kept();
        for (Index i = 0; i < n; ++i)
            right = right && a[i] == value(small(i), other(i)) && b[i] == other(i);
        expect(right, what, n);
    }

    void elementwise(int n) {
        using Out = float*;
        using In = const float*;
        each(
            "add", n, [&](Out a, In b) { k.add(a, b, n); }, [](float a, float b) { return a + b; });
        each(
            "multiply", n, [&](Out a, In b) { k.multiply(a, b, n); },
            [](float a, float b) { return a * b; });
        each(
            "relu", n, [&](Out a, In b) { k.relu(b, n, a); },
            [](float, float b) { return b > 0 ? b : 0; });
        each(
            "relu_backward", n, [&](Out a, In b) { k.relu_backward(b, 0.5f, n, a); },
            [](float a, float b) { return b == 0  ? a / 2
                                          : b > 0 ? a
                                                  : 0; });
        each(
            "add_rows", n, [&](Out a, In b) { k.add_rows(b, n, 1, n, a); },
            [](float, float b) { return b; });
        UpdateRule rule;
        rule.rate = 2;
        each(
            "update", n, [&](Out a, In b) { k.update(rule, a, b, nullptr, nullptr, n); },
            [](float a, float b) { return a - 2 * b; });
        double squares = 0;
        for (Index i = 0; i < n; ++i) squares += small(i) * small(i);
        each(
            "squares", n,
            [&](Out a, In) { expect(k.squares(a, n) == squares, "sum of squares", n); },
            [](float a, float) { return a; });
    }

    void bytes(int n) {
        const Fenced<std::uint8_t> u(n, side_, [](Index i) { return i * 37; });
        const Fenced<float> x(n, side_);
        k.scale_bytes(u.at(), n, x.at());
        bool right = x.kept();
        for (Index i = 0; i < n; ++i)
            right = right && x[i] == static_cast<float>(i * 37 % 256) / 255.0f;
        expect(right, "scale_bytes", n);
    }

    // (6) of `rows` samples and M outputs.
    void products(int M) {
        constexpr int N = 3;
        for (const int rows : {1, 2, 9}) {
            const Fenced<float> x(rows * N, side_, small), w(N * M, side_, other),
                b(M, side_, small), z(rows * M, side_);
            k.product({x.at(), N, 1}, rows, N, w.at(), M, M, b.at(), z.at(), M);
            bool right = x.kept() && w.kept() && b.kept() && z.kept();
            for (int s = 0; s < rows; ++s)
                for (int j = 0; j < M; ++j) {
                    float sum = b[j];
                    for (int i = 0; i < N; ++i) sum += x[s * N + i] * w[i * M + j];
                    right = right && z[s * M + j] == sum;
                }
            expect(right, "product", M, rows);
        }
    }

    // (6), (7), (8) of factors whose zeros are skipped.
    void skipped(int rows, int N, int M) {
        const auto half = [](Index i) { return i % 3 ? 0.0f : small(i); };
        const Fenced<float> x(rows * N, side_, half), delta(rows * M, side_, half),
            w(N * M, side_, other), turned(M * N, side_, other), z(rows * M, side_),
            dx(rows * M, side_), dw(N * M, side_, other);
        k.product({x.at(), N, 1}, rows, N, w.at(), M, M, nullptr, z.at(), M);
        const int done = k.sparse_error(x.at(), N, rows, N, turned.at(), M, dx.at(), M);
        UpdateRule rule;
        rule.rate = 1;
        k.product_update(rule, {x.at(), 1, N}, N, rows, 1, delta.at(), M, M, dw.at(), M, nullptr,
                         nullptr);
        bool right = x.kept() && delta.kept() && w.kept() && turned.kept() && z.kept() &&
                     dx.kept() && dw.kept() && done >= M / 128 * 128;
        for (int s = 0; s < rows; ++s)
            for (int j = 0; j < M; ++j) {
                float sum = 0, error = 0;
                for (int i = 0; i < N; ++i) {
                    sum += x[s * N + i] * w[i * M + j];
                    error += x[s * N + i] * turned[j * N + i];
                }
                right = right && z[s * M + j] == sum &&
                        (j < done ? dx[s * M + j] == error : dx.untouched(s * M + j));
            }
        for (int i = 0; i < N; ++i)
            for (int j = 0; j < M; ++j) {
                float sum = 0;
                for (int s = 0; s < rows; ++s) sum += x[s * N + i] * delta[s * M + j];
                right = right && dw[i * M + j] == w[i * M + j] - sum;
            }
        expect(right, "products that skip zeros", rows, M);
    }

    // A square and its corners, in matrices with room between their rows.
    void transposed(int rows, int columns) {
        const Index a_row = columns + 3, t_row = rows + 2;
        const Fenced<float> a((rows - 1) * a_row + columns, side_, [](Index i) { return i; });
        const Fenced<float> t((columns - 1) * t_row + rows, side_);
        k.transpose(a.at(), a_row, rows, columns, t.at(), t_row);
        bool right = t.kept();
        for (Index j = 0; j < columns; ++j)
            for (Index i = 0; i < t_row && j * t_row + i < (columns - 1) * t_row + rows; ++i)
                right = right && (i < rows ? t[j * t_row + i] == a[i * a_row + j]
                                           : t.untouched(j * t_row + i));
        expect(right, "transpose", rows, columns);
    }

    // (1) of 2 x 4 outputs, the same with its pool, and (3) of errors in every place; in Winograd's
    // form, too.
    void convolution(int K, int size, int R) {
        constexpr int I = 2, J = 4;
        ConvShape s{};
        s.rows = s.columns = size, s.R = R, s.K = K, s.s1 = s.s2 = 1, s.I = I, s.J = J;
        const int columns = J + size - 1;
        s.x_pixel = R, s.x_row = columns * R;
        const Fenced<float> x((I + size - 1) * s.x_row, side_, small);
        const Fenced<float> w(Index(size) * size * R * K, side_, other), b(K, side_, small);
        const BiasView bias{b.at(), 0, 0};
        const Fenced<float> z(I * J * K, side_);
        k.conv(s, Fused::none, x.at(), w.at(), bias, {z.at(), J * K, K}, nullptr);
        bool right = x.kept() && w.kept() && b.kept() && z.kept();
        for (int i = 0; i < I; ++i)
            for (int j = 0; j < J; ++j)
                for (int c = 0; c < K; ++c) {
                    float sum = b[c];
                    for (int p = 0; p < size; ++p)
                        for (int q = 0; q < size; ++q)
                            for (int r = 0; r < R; ++r) {
                                const Index tap = (size - 1 - p) * size + (size - 1 - q);
                                sum += x[(i + p) * s.x_row + (j + q) * R + r] *
                                       w[(tap * R + r) * K + c];
                            }
                    right = right && z[(i * J + j) * K + c] == sum;
                }
        expect(right, "conv", K, size * 10 + R);

        const Index width = (K + 7) / 8 * 8;
        const auto pooled = [&](const char* what, const auto& kernel) {
            const Fenced<float> out(J / 2 * K, side_);
            const Fenced<Winner> winner(J / 2 * width, side_);
            kernel(Grid{out.at(), J / 2 * K, K}, winner.at());
            bool right = out.kept() && winner.kept() && b.kept();
            for (int j = 0; j < J; j += 2)
                for (int c = 0; c < width; ++c) {
                    const Index at = j / 2 * width + c;
                    if (c >= K) {
                        right = right && winner.untouched(at);
                        continue;
                    }
                    float best = z[j * K + c];
                    Winner where = j;
                    for (const int place : {1, J, J + 1})
                        if (z[(j + place) * K + c] > best) {
                            best = z[(j + place) * K + c];
                            where = j + place % J + place / J * columns;
                        }
                    right = right && out[j / 2 * K + c] == best && winner[at] == where;
                }
            expect(right, what, K, size * 10 + R);
        };
        pooled("conv, pool", [&](Grid out, Winner* winner) {
            k.conv(s, Fused::pool, x.at(), w.at(), bias, out, winner);
        });
        back(s, x, z);
        if (size == 1 || R % 8) return;
        for (const int tile : {2, 4}) {
            if (size == 5 && tile == 4) continue;
            s.tile = tile;
            std::vector<float> taps(winograd_taps_size(s)), scratch(winograd_scratch(s));
            k.winograd_taps(s, w.at(), 0, R, taps.data());
            pooled("winograd, pool", [&](Grid out, Winner* winner) {
                k.winograd(s, Fused::pool, x.at(), taps.data(), bias, out, winner, scratch.data());
            });
            const Fenced<float> again(I * J * K, side_);
            k.winograd(s, Fused::none, x.at(), taps.data(), bias, {again.at(), J * K, K}, nullptr,
                       scratch.data());
            right = again.kept() && x.kept() && b.kept();
            for (Index n = 0; n < I * J * K; ++n) right = right && again[n] == z[n];
            expect(right, "winograd", K, size * 10 + tile);
            back(s, x, z);
        }
    }

    // The errors of every place, their sums and (3), in the form that the shape says.
    void back(const ConvShape& s, const Fenced<float>& x, const Fenced<float>& above) {
        const Index width = (s.K + 7) / 8 * 8, places = Index(s.I) * s.J;
        const Index row = s.J * width, taps = Index(s.rows) * s.columns * s.R;
        const Fenced<Winner> winner(places * width, side_,
                                    [](Index n) { return n % 3 ? n % 3 - 1 : -1; });
        const Fenced<float> delta(places * width, side_), db(s.K, side_, other),
            dw(taps * s.K, side_);
        k.errors(s, winner.at(), {above.at(), Index(s.J) * s.K, s.K}, 2, {delta.at(), row, width},
                 db.at());
        bool right = winner.kept() && above.kept() && delta.kept() && db.kept();
        for (Index c = 0; c < width; ++c) {
            float sum = c < s.K ? other(c) : 0;
            for (Index n = 0; n < places; ++n) {
                const Index at = n * width + c;
                const float e = c < s.K && at % 3 ? 2 * above[n * s.K + c] : 0;
                right = right && delta[at] == e;
                sum += e;
            }
            right = right && (c >= s.K || db[c] == sum);
        }
        expect(right, "errors", s.K, s.R);
        if (s.tile == 0) {
            k.conv_dw_of_errors(s, x.at(), {delta.at(), row, width}, true, dw.at());
        } else {
            const Fenced<float> sums(winograd_sums_size(s), side_);
            std::vector<float> scratch(winograd_scratch(s));
            k.winograd_dw(s, x.at(), {delta.at(), row, width}, true, sums.at(), scratch.data());
            k.winograd_dw_sum(s, sums.at(), dw.at());
            right = sums.kept();
        }
        right = right && x.kept() && delta.kept() && dw.kept();
        for (int p = 0; p < s.rows; ++p)
            for (int q = 0; q < s.columns; ++q)
                for (int r = 0; r < s.R; ++r)
                    for (int c = 0; c < s.K; ++c) {
                        float sum = 0;
                        for (int i = 0; i < s.I; ++i)
                            for (int j = 0; j < s.J; ++j)
                                sum += x[(i + p) * s.x_row + (j + q) * s.x_pixel + r] *
                                       delta[i * row + j * width + c];
                        right = right && dw[((p * s.columns + q) * s.R + r) * s.K + c] == sum;
                    }
        expect(right, "(3)", s.K, s.rows * 100 + s.R * 10 + s.tile);
    }

    // The survivors among eight outputs; each channel has a set of its own.
    void packed(int K, int set) {
        constexpr int outputs = 8;
        const Index width = (K + 7) / 8 * 8, stride = survivors_stride(outputs);
        const auto alive = [&](Index j, Index c) { return (set + 37 * c) % 256 >> j & 1; };
        ConvShape s{};
        s.K = K, s.x_pixel = 8;
        const Fenced<Winner> winner(outputs * width, side_, [&](Index i) {
            const Index j = i / width, c = i % width;
            return alive(j, c) ? 3 * j + c + j % 3 * half : -1;
        });
        const Fenced<float> error(outputs * K, side_, small), db(K, side_, other);
        const Fenced<std::int32_t> offset(K * stride, side_), count(K, side_);
        const Fenced<float> delta(K * stride, side_);
        k.survivors(s, winner.at(), {error.at(), outputs * K, K}, 1, outputs, 4,
                    {offset.at(), delta.at(), count.at(), stride}, db.at());
        bool right = winner.kept() && error.kept() && db.kept() && offset.kept() && delta.kept() &&
                     count.kept();
        for (Index c = 0; c < K; ++c) {
            float sum = other(c);
            std::int32_t n = 0;
            for (Index j = 0; j < outputs; ++j) {
                if (!alive(j, c)) continue;
                const float e = error[j * K + c] * static_cast<float>(4 >> j % 3);
                right = right && offset[c * stride + n] == 8 * (3 * j + c) &&
                        delta[c * stride + n] == e;
                sum += e, ++n;
            }
            right = right && count[c] == n && db[c] == sum;
            for (Index at = outputs; at < stride; ++at)
                right =
                    right && offset.untouched(c * stride + at) && delta.untouched(c * stride + at);
        }
        expect(right, "survivors", K, set);
    }

    const Kernels& k;
    Side side_ = Side::before;
    int wrong_ = 0;
};

}  // namespace convlet
