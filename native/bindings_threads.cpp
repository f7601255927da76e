// The threads by themselves, for the tests.
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "bindings.h"

using namespace nb::literals;

namespace convlet {
namespace {

using Times = nb::ndarray<std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// One job, a phase for each of `phases`: an item adds 1 to its number there.  Item `held` goes on
// until a signal stops the job.  Returns whether each phase was done as a whole.
std::vector<bool> team(int threads, std::vector<Times> phases, std::ptrdiff_t held, bool whole) {
    std::vector<bool> done;
    {
        Unlocked unlocked;
        Stop stop([&] { return unlocked.interrupted(); });
        run_team(threads, stop, [&](Team& team) {
            for (const Times& times : phases) {
                const Team::Work work = [&](std::ptrdiff_t item, int thread) {
                    times.data()[item] += 1;
                    while (item == held && !stop(thread)) continue;
                };
                const auto count = static_cast<std::ptrdiff_t>(times.size());
                if (whole) team.whole(count, work);
                done.push_back(whole || team.parallel(count, work));
            }
        });
    }
    rethrow();
    return done;
}

}  // namespace

void bind_threads(nb::module_& m) {
    m.attr("items_a_round") = Team::items_a_round;
    m.def("team", team, "threads"_a, "phases"_a, "held"_a = -1, "whole"_a = false);
}

}  // namespace convlet
