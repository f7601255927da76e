// Our own small pool of threads.  Workers sleep between jobs, ignore signals, and are made anew in
// a forked child.  One job runs at a time: who finds the pool busy works alone.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace convlet {

// Asked by the calling thread now and then in the middle of long work; true means: give up.
using Interrupted = std::function<bool()>;

// Whether the work of a call goes on.  Every thread may look at any time; only the calling thread,
// number 0, asks for signals, no more often than people notice.
class Stop {
public:
    static constexpr std::chrono::milliseconds patience{50};

    explicit Stop(Interrupted interrupted) : interrupted_(std::move(interrupted)) {}
    bool operator()(int thread) {
        if (thread == 0 && !stopped()) ask();  // once is enough: the answer comes with an exception
        return stopped();
    }
    bool stopped() const { return stop_.load(std::memory_order_relaxed); }

private:
    void ask() {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < patience) return;
        last_ = now;
        if (interrupted_ && interrupted_()) stop_.store(true, std::memory_order_relaxed);
    }

    const Interrupted interrupted_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
    std::atomic<bool> stop_{false};
};

// The threads of one job: the caller's, number 0, and helpers.
//
// A phase ends when its items are done, not when every thread has come: a helper whose CPU was
// given to someone else holds up the others by the item in its hands at most.
class Team {
public:
    using Work = std::function<void(std::ptrdiff_t item, int thread)>;

    // A phase of more items is cut into rounds.
    static constexpr int items_a_round = (1 << 18) - 2048;

    Team(int size, Stop& stop);
    const int size;

    // Runs work(0), ..., work(count - 1), each once, on whoever is free, and returns when all are
    // done.  False if the job is stopped: items that had not begun are left out.
    // The caller begins with the first, helpers with the last: phases over the same items then find
    // in a core's cache what it wrote in the phase before.
    // For the calling thread only.  The work must not throw.
    bool parallel(std::ptrdiff_t count, const Work& work);

    // The same for work that must not be left half done: a job that is stopped ends it first.
    void whole(std::ptrdiff_t count, const Work& work);

private:
    friend class Pool;
    struct Round {
        const Work* work = nullptr;
        std::ptrdiff_t first = 0;
        bool whole = false;
        void run(std::ptrdiff_t item, int thread, Stop& stop) const {
            if (!stop(thread) || whole) (*work)(first + item, thread);
        }
    };
    void rounds(std::ptrdiff_t count, const Work& work, bool whole);
    void help(int thread);  // until `finish`
    void finish();
    void take_items(int thread);
    void wait_for_helpers(int count);

    // generation of the round (10 bits), its count (18), how many items the helpers (18) and the
    // caller (18) have asked for: one word, so that a late helper cannot take an item of one round
    // by the count of another.  Everyone asks twice in vain at most, up to 1,024 threads.
    std::atomic<std::uint64_t> round_{0};
    Round rounds_[2];  // by parity of the generation
    std::atomic<int> done_{0};
    std::atomic<bool> asleep_{false};  // the caller, until `all_done_`
    std::mutex mutex_;
    std::condition_variable all_done_;
    Stop& stop_;  // asked before each item, and by the caller while it waits for helpers
    const int spins_;
};

// Runs job(team) on the calling thread with up to `threads` threads in the team.
void run_team(int threads, Stop& stop, const std::function<void(Team&)>& job);

}  // namespace convlet
