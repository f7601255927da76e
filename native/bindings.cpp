// The module as Python sees it, and the targets of this CPU.
#include "bindings.h"

#include <nanobind/ndarray.h>

#include <numeric>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace nb::literals;

namespace convlet {

struct Target {
    const Kernels* kernels;
    bool supported;
};

#if defined(__x86_64__)
// Whether CPUID names every feature of a mask, in leaf 1 (ecx) and leaf 7 (ebx), and the system keeps
// the registers `state` of XCR0.  Not __builtin_cpu_supports: zig's runtime answers no to everything.
bool cpu_has(unsigned leaf1, unsigned leaf7, unsigned state) {
    constexpr unsigned osxsave = 1u << 27;
    unsigned eax, ebx, ecx, edx;
    leaf1 |= osxsave;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf1) != leaf1) return false;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (ebx & leaf7) != leaf7) return false;
    asm volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax & state) == state;
}
#endif

// Every target in this build, the best first.
const std::vector<Target>& targets() {
    static const std::vector<Target> all = [] {
        std::vector<Target> found;
#if defined(__x86_64__)
        constexpr unsigned fma = 1u << 12, avx = 1u << 28;  // leaf 1
        constexpr unsigned bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, avx512f = 1u << 16,
                           avx512dq = 1u << 17, avx512cd = 1u << 28, avx512bw = 1u << 30,
                           avx512vl = 1u << 31;  // leaf 7
        constexpr unsigned ymm = 0x06, zmm = 0xe6;
        const bool v3 = cpu_has(fma | avx, avx2, ymm);
        const bool v4 =
            cpu_has(fma | avx,
                    avx2 | bmi1 | bmi2 | avx512f | avx512dq | avx512cd | avx512bw | avx512vl, zmm);
        found.push_back({&avx512::kernels, v4});
        found.push_back({&avx2::kernels, v3});
#elif defined(__aarch64__)
        found.push_back({&neon::kernels, true});
#endif
        return found;
    }();
    return all;
}

const Kernels& kernels_of(const std::string& name) {
    for (const Target& target : targets())
        if (target.supported && target.kernels->name == name) return *target.kernels;
    throw nb::value_error(("no such target on this CPU: " + name).c_str());
}

}  // namespace convlet

NB_MODULE(_core, m) {
    using namespace convlet;
    m.doc() = "The native core: see docs/engine.md.";
    // A process that ends beside a daemon thread ends with what the thread holds: nanobind takes
    // that for a mistake of these bindings.  tests/test_exit.py turns the check on.
    nb::set_leak_warnings(false);
    m.def(
        "targets",
        [] {
            nb::list all;
            for (const Target& target : targets())
                all.append(nb::make_tuple(target.kernels->name, target.supported));
            return all;
        },
        "Every instruction set in this build and whether this CPU has it, the best first.");

    m.def(
        "sum_of_squares",
        [](nb::ndarray<const float, nb::c_contig, nb::device::cpu> x) {
            constexpr std::size_t lanes = 16;
            float sums[lanes] = {};
            const float* at = x.data();
            const std::size_t size = x.size(), whole = size / lanes * lanes;
            for (std::size_t n = 0; n < whole; n += lanes)
                for (std::size_t lane = 0; lane < lanes; ++lane)
                    sums[lane] += at[n + lane] * at[n + lane];
            for (std::size_t n = whole; n < size; ++n) sums[n % lanes] += at[n] * at[n];
            return std::accumulate(sums, sums + lanes, 0.0);
        },
        "x"_a.noconvert(),
        "Of float32 numbers: a single image is looked at in less than a microsecond.");

    bind_engine(m);
    nb::module_ testing = m.def_submodule(
        "testing",
        "For the tests only: the kernels one by one, whose sizes are NOT checked (a "
        "wrong one reads or writes foreign memory), and the threads by themselves.");
    bind_kernels(testing);
    bind_threads(testing);
    testing.def("warn_of_leaks", [] { nb::set_leak_warnings(true); });
}
