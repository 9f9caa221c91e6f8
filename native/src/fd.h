// A file descriptor that closes itself. Shared where a thread may still be inside a call on it: a
// number that was closed and reused under such a call would hit a stranger's file.
#pragma once
#include <unistd.h>

#include <memory>

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

using SharedFd = std::shared_ptr<Fd>;
