// Counted randomness: Philox4x64-10, the same words as NumPy's raw ones for the same key and
// counter.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

namespace convlet {

// What the words are for; the numbers are those of randomness.py.
enum class Purpose : std::uint64_t { dropout = 3, augment = 4 };

// The stream of one sample: keyed by (seed, purpose), counted by (sample, place, epoch).
class Philox {
public:
    Philox(std::uint64_t seed, Purpose purpose, std::uint64_t sample, std::uint64_t place,
           std::uint64_t epoch)
        : key_{seed, static_cast<std::uint64_t>(purpose)}, counter_{0, sample, place, epoch} {}

    using Block = std::array<std::uint64_t, 4>;

    std::uint64_t next() {
        if (used_ == 4) {
            words_ = block();
            used_ = 0;
        }
        return words_[used_++];
    }

    // The next four words, after a whole number of blocks: blocks do not wait for each other.
    Block block() {
        ++counter_[0];  // NumPy counts before it draws
        constexpr std::uint64_t m0 = 0xD2E7470EE14C6C93, m1 = 0xCA5A826395121157;
        constexpr std::uint64_t w0 = 0x9E3779B97F4A7C15, w1 = 0xBB67AE8584CAA73B;
        std::uint64_t c0 = counter_[0], c1 = counter_[1], c2 = counter_[2], c3 = counter_[3];
        std::uint64_t k0 = key_[0], k1 = key_[1];
        for (int round = 0; round < 10; ++round) {
            __extension__ using Wide = unsigned __int128;
            const Wide a = Wide(m0) * c0, b = Wide(m1) * c2;
            c0 = static_cast<std::uint64_t>(b >> 64) ^ c1 ^ k0;
            c2 = static_cast<std::uint64_t>(a >> 64) ^ c3 ^ k1;
            c1 = static_cast<std::uint64_t>(b);
            c3 = static_cast<std::uint64_t>(a);
            k0 += w0;
            k1 += w1;
        }
        return {c0, c1, c2, c3};
    }

private:
    std::uint64_t key_[2], counter_[4];
    Block words_{};
    int used_ = 4;
};

}  // namespace convlet
