#include "threads.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace convlet {
namespace {

constexpr int helpers_bit = 18, count_bit = 36, generation_bit = 54;
constexpr std::uint64_t item_mask = (1u << helpers_bit) - 1;
constexpr int last_round = item_mask;  // as a count: there will be no further round

int count_of(std::uint64_t round) { return static_cast<int>(round >> count_bit & item_mask); }

// Looks of a helper at whether there is a further job before it sleeps, some 50 microseconds: whoever
// predicts one image after the other finds it awake.
constexpr int awake = 5000;

// The word of the round after this one.
std::uint64_t next_round(std::uint64_t round, int count) {
    const std::uint64_t generation = (round >> generation_bit) + 1;
    return generation << generation_bit | static_cast<std::uint64_t>(count) << count_bit;
}

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Asked once: the library opens a file each time.
int processors() {
    static const int count = static_cast<int>(std::thread::hardware_concurrency());
    return count;
}

// Waits until `value` satisfies `ready`: first awake, for the short waits inside a step, then
// asleep.
template <class T, class Ready>
T wait_until(const std::atomic<T>& value, int spins, const Ready& ready) {
    T now = value.load(std::memory_order_acquire);
    for (int n = 0; n < spins && !ready(now); ++n) {
        relax();
        now = value.load(std::memory_order_acquire);
    }
    while (!ready(now)) {
        value.wait(now, std::memory_order_acquire);
        now = value.load(std::memory_order_acquire);
    }
    return now;
}

}  // namespace

Team::Team(int size_, Stop& stop)
    : size(size_), stop_(stop), spins_(size_ <= processors() ? 2000 : 0) {}

bool Team::parallel(std::ptrdiff_t count, const Work& work) {
    rounds(count, work, false);
    return !stop_.stopped();
}

void Team::whole(std::ptrdiff_t count, const Work& work) { rounds(count, work, true); }

void Team::rounds(std::ptrdiff_t count, const Work& work, bool whole) {
    for (std::ptrdiff_t first = 0; first < count; first += items_a_round) {
        if (stop_.stopped() && !whole) return;
        const int items = static_cast<int>(std::min<std::ptrdiff_t>(items_a_round, count - first));
        const Round mine{&work, first, whole};
        if (size == 1 || items == 1) {
            for (int item = 0; item < items; ++item) mine.run(item, 0, stop_);
            continue;
        }
        const std::uint64_t round = next_round(round_.load(std::memory_order_relaxed), items);
        rounds_[round >> generation_bit & 1] = mine;
        done_.store(0, std::memory_order_relaxed);
        round_.store(round, std::memory_order_release);
        round_.notify_all();
        take_items(0);
        wait_for_helpers(items);
    }
}

void Team::take_items(int thread) {
    for (;;) {
        const std::uint64_t mine = std::uint64_t(1) << (thread == 0 ? 0 : helpers_bit);
        const std::uint64_t round = round_.fetch_add(mine, std::memory_order_acq_rel);
        const int front = static_cast<int>(round & item_mask);
        const int back = static_cast<int>(round >> helpers_bit & item_mask);
        const int count = count_of(round);
        if (front + back >= count || count == last_round) return;
        const int item = thread == 0 ? front : count - 1 - back;
        rounds_[round >> generation_bit & 1].run(item, thread, stop_);
        if (done_.fetch_add(1) + 1 == count && asleep_.load()) {
            const std::lock_guard lock(mutex_);
            all_done_.notify_one();
        }
    }
}

// First awake, for the short waits inside a step, then asleep, with an ear for signals: an item may
// take long.
void Team::wait_for_helpers(int count) {
    for (int n = 0; done_.load(std::memory_order_acquire) != count && n < spins_; ++n) relax();
    if (done_.load(std::memory_order_acquire) == count) return;
    std::unique_lock lock(mutex_);
    asleep_.store(true);  // in one order with `done_`: the last helper sees it, or we see its item
    while (done_.load() != count) {
        all_done_.wait_for(lock, Stop::patience);
        lock.unlock();
        stop_(0);
        lock.lock();
    }
    asleep_.store(false);
}

void Team::help(int thread) {
    for (std::uint64_t seen = 0;;) {
        const std::uint64_t round = wait_until(round_, spins_, [&](std::uint64_t now) {
            return now >> generation_bit != seen || count_of(now) == last_round;
        });
        if (count_of(round) == last_round) return;
        seen = round >> generation_bit;
        take_items(thread);
    }
}

void Team::finish() {
    round_.store(next_round(round_.load(std::memory_order_relaxed), last_round),
                 std::memory_order_release);
    round_.notify_all();
}

class Pool {
public:
    static Pool& instance() {
        static std::once_flag once;
        std::call_once(once, [] {
            current_ = new Pool;
            // the child of a fork has no workers: it starts with an empty pool; the old one is left
            pthread_atfork(nullptr, nullptr, [] { current_ = new Pool; });
        });
        return *current_;
    }

    void run(int threads, Stop& stop, const std::function<void(Team&)>& job) {
        const std::unique_lock lock(busy_, std::try_to_lock);
        const int helpers = lock.owns_lock() ? hire(threads - 1) : 0;
        Team team(helpers + 1, stop);
        for (int n = 0; n < helpers; ++n) workers_[n]->offer(team, n + 1);
        job(team);
        if (!helpers) return;
        team.finish();
        for (int n = 0; n < helpers; ++n) workers_[n]->take_back(team.spins_);
    }

private:
    // Who has not come when the job is done is not waited for.
    struct Worker {
        enum State { idle, offered, working };
        std::atomic<int> state{idle};
        Team* team = nullptr;  // the worker's while it is working, otherwise the pool's
        int number = 0;

        void offer(Team& team_, int number_) {
            team = &team_;
            number = number_;
            state.store(offered, std::memory_order_release);
            state.notify_one();
        }

        void take_back(int spins) {
            if (int now = offered; state.compare_exchange_strong(now, idle)) return;
            wait_until(state, spins, [](int now) { return now == idle; });
        }

        void work() {
            for (int spins = 0;; spins = processors() > 1 ? awake : 0) {
                int now = wait_until(state, spins, [](int now) { return now == offered; });
                if (!state.compare_exchange_strong(now, working)) continue;
                team->help(number);
                state.store(idle, std::memory_order_release);
                state.notify_one();
            }
        }
    };

    // Up to `wanted` workers; fewer if the system gives no more threads.
    int hire(int wanted) {
        if (static_cast<int>(workers_.size()) >= wanted) return wanted;
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the caller's threads
        try {
            while (static_cast<int>(workers_.size()) < wanted) {
                auto worker = std::make_unique<Worker>();
                std::thread(&Worker::work, worker.get()).detach();
                workers_.push_back(std::move(worker));
            }
        } catch (const std::exception&) {  // fewer helpers, the same result
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return std::min(wanted, static_cast<int>(workers_.size()));
    }

    static inline Pool* current_ = nullptr;  // never destroyed: workers may outlive static objects
    std::mutex busy_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

void run_team(int threads, Stop& stop, const std::function<void(Team&)>& job) {
    if (threads <= 1) {
        Team alone(1, stop);
        job(alone);
    } else {
        Pool::instance().run(threads, stop, job);
    }
}

}  // namespace convlet
