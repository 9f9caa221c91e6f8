// What lies between the JS thread and the pacer thread: commands one way, events the other. Neither
// waits for the other beyond a copy.
#pragma once
#include <pthread.h>
#include <uv.h>

#include <vector>

#include "bfd_types.h"
#include "fd.h"

// Lends its holder the priority of who waits for it: the JS thread may be preempted while it holds
// the lock, by anything, and the pacer thread behind it.
class PriorityMutex {
 public:
  PriorityMutex();
  ~PriorityMutex() { pthread_mutex_destroy(&mutex_); }
  PriorityMutex(const PriorityMutex&) = delete;
  PriorityMutex& operator=(const PriorityMutex&) = delete;
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

class BfdChannel {
 public:
  BfdChannel();

  // JS thread. `wake` is signalled when an event waits; null: nobody listens any more.
  void Listen(uv_async_t* wake);
  void Command(BfdCommand command);
  // Swaps `events`, which is empty, with what waits.
  void TakeEvents(std::vector<BfdEvent>* events);

  // Pacer thread. Readable when a command waits.
  int commandFd() const { return commandFd_.get(); }
  // Swaps `commands`, which is empty, with what waits.
  void TakeCommands(std::vector<BfdCommand>* commands);
  // False: there is no room. What belongs to no session has a small share of its own, so that
  // strangers can't take the room of sessions.
  bool Report(const BfdEvent& event);

 private:
  Fd commandFd_;
  PriorityMutex mutex_;
  std::vector<BfdCommand> commands_;
  std::vector<BfdEvent> events_;
  size_t strangers_ = 0;
  uv_async_t* wake_ = nullptr;
};
