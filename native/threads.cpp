#include "threads.h"

#include <pthread.h>
#include <signal.h>

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace convlet {
namespace {

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: first awake, for the short waits inside a step, then
// asleep.
void wait_change(const std::atomic<int>& value, int old, int spins) {
    for (int n = 0; n < spins; ++n) {
        if (value.load(std::memory_order_acquire) != old) return;
        relax();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

struct Worker {
    std::atomic<int> ticket{0};  // counts the jobs handed to this worker
    const Job* job = nullptr;
    Team* team = nullptr;
    std::atomic<int>* running = nullptr;
    int index = 0;

    void work() {
        for (int seen = 0;; ++seen) {
            wait_change(ticket, seen, 0);
            (*job)(*team, index);
            std::atomic<int>* left = running;
            if (left->fetch_sub(1, std::memory_order_acq_rel) == 1) left->notify_one();
        }
    }
};

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

    void run(int threads, const Job& job) {
        std::unique_lock lock(busy_, std::try_to_lock);
        const int helpers = lock.owns_lock() ? hire(threads - 1) : 0;
        Team team(helpers + 1);
        running_.store(helpers, std::memory_order_relaxed);
        for (int n = 0; n < helpers; ++n) {
            Worker& worker = *workers_[n];
            worker.job = &job;
            worker.team = &team;
            worker.running = &running_;
            worker.index = n + 1;
            worker.ticket.fetch_add(1, std::memory_order_release);
            worker.ticket.notify_one();
        }
        job(team, 0);
        for (int left; helpers && (left = running_.load(std::memory_order_acquire)) > 0;)
            wait_change(running_, left, 2000);
    }

private:
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
        } catch (const std::exception&) {
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return std::min(wanted, static_cast<int>(workers_.size()));
    }

    static inline Pool* current_ = nullptr;  // never destroyed: workers may outlive static objects
    std::mutex busy_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::atomic<int> running_{0};
};

}  // namespace

Team::Team(int size_)
    : size(size_),
      spins_(size_ <= static_cast<int>(std::thread::hardware_concurrency()) ? 20000 : 0) {}

void Team::barrier() {
    if (size == 1) return;
    const int generation = generation_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
        waiting_.store(0, std::memory_order_relaxed);
        generation_.store(generation + 1, std::memory_order_release);
        generation_.notify_all();
    } else {
        wait_change(generation_, generation, spins_);
    }
}

void run_team(int threads, const Job& job) {
    if (threads <= 1) {
        Team alone(1);
        job(alone, 0);
    } else {
        Pool::instance().run(threads, job);
    }
}

}  // namespace convlet
