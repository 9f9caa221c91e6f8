// The one thread that sends on netlink. rtnetlink runs the whole operation inside sendto (deleting
// a link waits for RCU, up to 170 ms), so no send may happen on a JS thread; one thread is enough,
// as the kernel's rtnl lock lets only one operation pass anyway.
#pragma once
#include <uv.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "fd.h"

struct SendError {
  uint32_t seq;
  int error;
};

// What an NlSocket and the thread share; outlives both.
class NlChannel {
 public:
  explicit NlChannel(SharedFd fd) : fd_(std::move(fd)) {}

  // `wake` is signalled when an error waits; null when nobody listens any more.
  void Listen(uv_async_t* wake);
  void Close();
  // Null after Close.
  SharedFd fd();
  void Report(SendError error);
  std::vector<SendError> TakeErrors();

 private:
  std::mutex mutex_;
  SharedFd fd_;
  uv_async_t* wake_ = nullptr;
  std::vector<SendError> errors_;
};

// Sends to the kernel: 0 or errno.
int NlSend(const Fd& fd, const uint8_t* message, size_t size);

// Queues a message. What waits in the queue for a channel that closes meanwhile is dropped.
void NlTxSend(std::shared_ptr<NlChannel> channel, std::vector<uint8_t> message);
