// What the files of bindings share: errors, the interpreter's lock, and its signals.
#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <string>

#include "kernels.h"
#include "threads.h"

namespace nb = nanobind;

namespace convlet {

void bind_engine(nb::module_& m);   // bindings_engine.cpp
void bind_kernels(nb::module_& m);  // bindings_kernels.cpp
void bind_threads(nb::module_& m);  // bindings_threads.cpp

const Kernels& kernels_of(const std::string& name);  // bindings.cpp

inline void require(bool holds, const char* what) {
    if (!holds) throw nb::value_error(what);
}

// Work without the interpreter's lock.
class Unlocked {
public:
    Unlocked() : state_(PyEval_SaveThread()) {}
    ~Unlocked() { lock(); }
    Unlocked(const Unlocked&) = delete;

    // Whether a signal raised an exception, asked for with the lock.  The exception waits for
    // `rethrow`.
    bool interrupted() {
        lock();
        const bool raised = PyErr_CheckSignals() != 0;
        state_ = PyEval_SaveThread();
        return raised;
    }

    // Calls a function of Python's with the lock: false if it raised an exception, which waits for
    // `rethrow`.
    bool call(nb::handle function) {
        lock();
        PyObject* found = PyObject_CallNoArgs(function.ptr());
        const bool done = found != nullptr;
        Py_XDECREF(found);
        state_ = PyEval_SaveThread();
        return done;
    }

private:
    // An interpreter that ends ends the threads that ask for its lock, by unwinding their stacks:
    // in the middle of C++ that would abort the process.  Such a thread stays here until the
    // process is gone.  A destructor holds it: not every C++ library catches that in a `catch`.
    void lock() {
        struct Stay {
            bool locked = false;
            ~Stay() {
                while (!locked) pause();
            }
        } stay;
        PyEval_RestoreThread(state_);
        stay.locked = true;
    }

    PyThreadState* state_;
};

// The exception that a signal left behind.
inline void rethrow() {
    if (PyErr_Occurred()) throw nb::python_error();
}

}  // namespace convlet
