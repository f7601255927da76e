// Our own small pool of threads.  Workers sleep between jobs, ignore signals, and are made anew in
// a forked child.  One job runs at a time: who finds the pool busy works alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace convlet {

// The threads of one job: the caller's, number 0, and helpers.
//
// A phase ends when its items are done, not when every thread has come: a helper whose CPU was
// given to someone else holds up the others by the item in its hands at most.
class Team {
public:
    using Work = std::function<void(int item, int thread)>;

    explicit Team(int size);
    const int size;

    // Runs work(0), ..., work(count - 1), each once, on whoever is free; returns when all are done.
    // The caller begins with the first, helpers with the last: phases over the same items then find
    // in a core's cache what it wrote in the phase before.
    // For the calling thread only.  The work must not throw.
    void parallel(int count, const Work& work);

private:
    friend class Pool;
    void help(int thread);  // until `finish`
    void finish();
    void take_items(int thread);

    // generation of the phase (10 bits), its count (18), how many items the helpers (18) and the
    // caller (18) have asked for: one word, so that a late helper cannot take an item of one phase
    // by the count of another
    std::atomic<std::uint64_t> phase_{0};
    std::atomic<int> done_{0};
    const Work* work_[2] = {nullptr, nullptr};  // by parity of the generation
    const int spins_;
};

inline constexpr int most_items = (1 << 18) - 2048;

// Runs job(team) on the calling thread with up to `threads` threads in the team.
void run_team(int threads, const std::function<void(Team&)>& job);

}  // namespace convlet
