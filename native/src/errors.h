// What goes wrong in a system call, and how JavaScript sees it.
#pragma once
#include <napi.h>

#include <cerrno>
#include <string>

// Thrown by code that runs off the JS thread; a Task turns it into a rejection.
struct Failure {
  int error;            // errno, positive
  std::string syscall;  // e.g. "setns"
  std::string log;      // libbpf's words, or empty
};

[[noreturn]] void Fail(const char* syscall, int error = errno, std::string log = "");

// JS Error with `code` (ENODEV), `errno`, `syscall`, `log` (null where there is none). glibc's
// table is used, since libuv's lacks errnos that matter here (ENOLINK).
Napi::Error ToJs(Napi::Env env, const Failure& failure);

// For synchronous bindings: what off-thread code throws becomes a JS exception.
template <typename Work>
auto Sync(Napi::Env env, Work work) {
  try {
    return work();
  } catch (const Failure& failure) {
    throw ToJs(env, failure);
  }
}
