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
constexpr int last_phase = item_mask;  // as a count: there will be no further phase

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

Team::Team(int size_) : size(size_), spins_(size_ <= processors() ? 2000 : 0) {}

void Team::parallel(int count, const Work& work) {
    if (size == 1 || count <= 1) {
        for (int item = 0; item < count; ++item) work(item, 0);
        return;
    }
    const std::uint64_t generation = (phase_.load(std::memory_order_relaxed) >> generation_bit) + 1;
    work_[generation & 1] = &work;
    done_.store(0, std::memory_order_relaxed);
    phase_.store(generation << generation_bit | static_cast<std::uint64_t>(count) << count_bit,
                 std::memory_order_release);
    phase_.notify_all();
    take_items(0);
    wait_until(done_, spins_, [&](int done) { return done == count; });
}

void Team::take_items(int thread) {
    for (;;) {
        const std::uint64_t mine = std::uint64_t(1) << (thread == 0 ? 0 : helpers_bit);
        const std::uint64_t phase = phase_.fetch_add(mine, std::memory_order_acq_rel);
        const int front = static_cast<int>(phase & item_mask);
        const int back = static_cast<int>(phase >> helpers_bit & item_mask);
        const int count = static_cast<int>(phase >> count_bit & item_mask);
        if (front + back >= count || count == last_phase) return;
        (*work_[phase >> generation_bit & 1])(thread == 0 ? front : count - 1 - back, thread);
        if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) done_.notify_one();
    }
}

void Team::help(int thread) {
    for (std::uint64_t seen = 0;;) {
        const auto last = [](std::uint64_t phase) {
            return (phase >> count_bit & item_mask) == last_phase;
        };
        const std::uint64_t phase = wait_until(phase_, spins_, [&](std::uint64_t now) {
            return now >> generation_bit != seen || last(now);
        });
        if (last(phase)) return;
        seen = phase >> generation_bit;
        take_items(thread);
    }
}

void Team::finish() {
    const std::uint64_t generation = (phase_.load(std::memory_order_relaxed) >> generation_bit) + 1;
    phase_.store(generation << generation_bit | static_cast<std::uint64_t>(last_phase) << count_bit,
                 std::memory_order_release);
    phase_.notify_all();
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

    void run(int threads, const std::function<void(Team&)>& job) {
        const std::unique_lock lock(busy_, std::try_to_lock);
        const int helpers = lock.owns_lock() ? hire(threads - 1) : 0;
        Team team(helpers + 1);
        if (helpers) running_.store(helpers, std::memory_order_relaxed);
        for (int n = 0; n < helpers; ++n) workers_[n]->start(team, n + 1, running_);
        job(team);
        if (!helpers) return;
        team.finish();
        wait_until(running_, team.spins_, [](int running) { return running == 0; });
    }

private:
    struct Worker {
        std::atomic<int> ticket{0};  // counts the jobs handed to this worker
        Team* team = nullptr;
        int number = 0;
        std::atomic<int>* running = nullptr;

        void start(Team& team_, int number_, std::atomic<int>& running_) {
            team = &team_;
            number = number_;
            running = &running_;
            ticket.fetch_add(1, std::memory_order_release);
            ticket.notify_one();
        }

        void work() {
            for (int seen = 0;; ++seen) {
                wait_until(ticket, 0, [&](int now) { return now != seen; });
                team->help(number);
                std::atomic<int>& left = *running;
                if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) left.notify_one();
            }
        }
    };

    // Up to `wanted` workers; fewer if the system gives no more threads.
    int hire(int wanted) {
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
    std::atomic<int> running_{0};
};

void run_team(int threads, const std::function<void(Team&)>& job) {
    if (threads <= 1) {
        Team alone(1);
        job(alone);
    } else {
        Pool::instance().run(threads, job);
    }
}

}  // namespace convlet
