#include "bfd_channel.h"

#include <sys/eventfd.h>

#include <mutex>
#include <utility>

#include "errors.h"

namespace {

constexpr size_t kEventRoom = 4096;
constexpr size_t kStrangerRoom = 64;

int OpenEventFd() {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) Fail("eventfd");
  return fd;
}

}  // namespace

PriorityMutex::PriorityMutex() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

BfdChannel::BfdChannel() : commandFd_(OpenEventFd()) {
  events_.reserve(kEventRoom);
}

void BfdChannel::Listen(uv_async_t* wake) {
  std::lock_guard<PriorityMutex> lock(mutex_);
  wake_ = wake;
}

void BfdChannel::Command(BfdCommand command) {
  {
    std::lock_guard<PriorityMutex> lock(mutex_);
    commands_.push_back(std::move(command));
  }
  eventfd_write(commandFd_.get(), 1);
}

void BfdChannel::TakeEvents(std::vector<BfdEvent>* events) {
  events->reserve(kEventRoom);  // becomes the one that is filled: there nothing is allocated
  std::lock_guard<PriorityMutex> lock(mutex_);
  events_.swap(*events);
  strangers_ = 0;
}

void BfdChannel::TakeCommands(std::vector<BfdCommand>* commands) {
  eventfd_t count = 0;
  eventfd_read(commandFd_.get(), &count);
  std::lock_guard<PriorityMutex> lock(mutex_);
  commands_.swap(*commands);
}

bool BfdChannel::Report(const BfdEvent& event) {
  std::lock_guard<PriorityMutex> lock(mutex_);
  if (!wake_ || events_.size() >= kEventRoom) return false;
  if (event.discriminator == 0 && ++strangers_ > kStrangerRoom) return false;
  events_.push_back(event);
  // One signal wakes the loop for all that come until it has taken them.
  if (events_.size() == 1) uv_async_send(wake_);
  return true;
}
