// The pacer thread: sends what it is told to by time, watches for silence, and reports what is new.
// It knows of RFC 5880 only which packets are to be discarded unread (§6.8.6), so that none of
// those counts as a sign of life.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "bfd_channel.h"
#include "bfd_schedule.h"
#include "bfd_sockets.h"

class BfdThread {
 public:
  // Opens the sockets in the caller's network namespace. Throws Failure. `strangers`: counts what
  // fits no session.
  BfdThread(std::shared_ptr<BfdChannel> channel, std::shared_ptr<BfdCounters> strangers);

  // Until BfdStop.
  void Run();

 private:
  struct Session : BfdDue {
    BfdSessionSpec spec;
    std::shared_ptr<BfdCounters> counters;
    BfdSender sender;
    int sendError = 0;  // as it was last told
    int64_t lastSentNs = 0;
    int64_t nextSendNs = INT64_MAX;
    bool heard = false;  // a packet ever; else heardNs is when its silence began to count
    int64_t heardNs = 0;
    bool expired = false;  // told since it was last heard
    int64_t againNs = 0;   // an expiry is looked at once more then
    int64_t asked = 0;     // packets sent by time since it was last heard

    int64_t DeadlineNs() const;
    int64_t PauseMinNs() const;
    bool IsUnasked() const;
    int64_t SendableNs() const;
    int64_t DueNs() const { return std::min(nextSendNs, DeadlineNs()); }
    // The earliest moment at which something may be done for it.
    int64_t ReadyNs() const { return std::min(SendableNs(), DeadlineNs()); }
  };

  void Wait();
  void Obey();
  void TakeFromPeers();
  void Do(BfdSet& command);
  void Do(const BfdSend& command);
  void Do(const BfdRemove& command);
  void Do(const BfdStop&) { stopped_ = true; }

  void RunDue();
  void Drain(int64_t nowNs);
  void SendTimed(Session* session, int64_t nowNs);
  void Send(Session* session, const BfdPacket& packet);
  void Expire(Session* session, int64_t nowNs);

  void Take(const BfdArrival& arrival);
  Session* FindByDiscriminator(uint32_t yours, const BfdArrival& arrival);
  Session* FindBySource(const BfdArrival& arrival);
  const BfdReceiver& ReceiverOf(const BfdSessionSpec& spec) const;
  void Refresh(Session* session, int64_t atNs);
  void ReportPacket(Session* session, const BfdArrival& arrival);
  int64_t DrawPause(const Session& session);
  uint64_t Random();

  std::shared_ptr<BfdChannel> channel_;
  std::shared_ptr<BfdCounters> strangers_;
  static constexpr size_t kReceivers = 8;
  std::array<std::unique_ptr<BfdReceiver>, kReceivers> receivers_;
  std::unordered_map<uint32_t, std::unique_ptr<Session>> sessions_;
  BfdSchedule schedule_;
  std::vector<BfdCommand> commands_;
  uint64_t random_;
  bool peersChanged_ = false;  // of sessions over several hops
  bool stopped_ = false;
};
