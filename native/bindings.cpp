// The module as Python sees it, and the targets of this CPU.
#include "bindings.h"

#include <vector>

namespace convlet {

struct Target {
    const Kernels* kernels;
    bool supported;
};

// Every target in this build, the best first.
const std::vector<Target>& targets() {
    static const std::vector<Target> all = [] {
        std::vector<Target> found;
#if defined(__x86_64__)
        __builtin_cpu_init();
        const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        const bool v4 = v3 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
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

    bind_engine(m);
    nb::module_ testing = m.def_submodule(
        "testing",
        "For the tests only: the kernels one by one, whose sizes are NOT checked (a "
        "wrong one reads or writes foreign memory), and the threads by themselves.");
    bind_kernels(testing);
    bind_threads(testing);
    testing.def("warn_of_leaks", [] { nb::set_leak_warnings(true); });
}
