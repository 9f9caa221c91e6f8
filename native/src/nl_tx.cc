#include "nl_tx.h"

#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <thread>

void NlChannel::Listen(uv_async_t* wake) {
  std::lock_guard<std::mutex> lock(mutex_);
  wake_ = wake;
}

void NlChannel::Close() {
  std::lock_guard<std::mutex> lock(mutex_);
  wake_ = nullptr;
  fd_.reset();
}

SharedFd NlChannel::fd() {
  std::lock_guard<std::mutex> lock(mutex_);
  return fd_;
}

void NlChannel::Report(SendError error) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!wake_) return;
  errors_.push_back(error);
  uv_async_send(wake_);
}

std::vector<SendError> NlChannel::TakeErrors() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::move(errors_);
}

int NlSend(const Fd& fd, const uint8_t* message, size_t size) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  for (;;) {
    ssize_t sent =
        sendto(fd.get(), message, size, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    if (sent >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

namespace {

struct Job {
  std::shared_ptr<NlChannel> channel;
  std::vector<uint8_t> message;
};

void Send(const Job& job) {
  SharedFd fd = job.channel->fd();
  if (!fd) return;
  int error = NlSend(*fd, job.message.data(), job.message.size());
  if (!error) return;
  nlmsghdr header{};
  memcpy(&header, job.message.data(), std::min(sizeof header, job.message.size()));
  job.channel->Report({header.nlmsg_seq, error});
}

class TxThread {
 public:
  TxThread() {
    // Signals are the JS thread's business.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread([this] { Run(); });
    pthread_setname_np(thread.native_handle(), "nl-tx");
    thread.detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void Push(Job job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    ready_.notify_one();
  }

 private:
  [[noreturn]] void Run() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      ready_.wait(lock, [this] { return !jobs_.empty(); });
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      Send(job);
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
};

}  // namespace

void NlTxSend(std::shared_ptr<NlChannel> channel, std::vector<uint8_t> message) {
  // Never destroyed: the thread runs until the process ends, past static destructors.
  static auto* const tx = new TxThread();
  tx->Push({std::move(channel), std::move(message)});
}
