// Our own small pool of threads.  Workers sleep between jobs, ignore signals, and are made anew in
// a forked child.  One job runs at a time: who finds the pool busy works alone.
#pragma once

#include <atomic>
#include <functional>

namespace convlet {

// The threads of one job.  `barrier` waits until all of them have come.
class Team {
public:
    explicit Team(int size);
    const int size;
    void barrier();

private:
    const int spins_;
    std::atomic<int> waiting_{0};
    std::atomic<int> generation_{0};
};

// Runs job(team, index) on up to `threads` threads at once, index 0 on the calling one; returns
// when all are done.  The job must not throw.
using Job = std::function<void(Team&, int)>;
void run_team(int threads, const Job& job);

}  // namespace convlet
