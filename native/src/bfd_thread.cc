#include "bfd_thread.h"

#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "errors.h"

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// However a session is set: no more than 1000 packets a second.
constexpr int64_t kPauseFloorNs = kNsPerMs;
// A thread that was late looks again after as long: the packets that tell otherwise may still lie
// with a CPU that was kept from running as it was.
constexpr int64_t kLateNs = kNsPerMs;

// Who is awake sends what is due soon: most of what a packet costs is to be woken for it. This
// share of the range that pauses are drawn from.
constexpr int64_t kSlackShare = 16;

constexpr uint8_t kAuthenticated = 0x04;
constexpr uint8_t kDemand = 0x02;
constexpr uint8_t kMultipoint = 0x01;

uint32_t Word(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

// RFC 5880 §6.8.6: version, length, multiplier, M, discriminators; as `decode` of
// core/bfd/packet.ts. Which session it is for, and authentication, come later.
bool WellFormed(const BfdArrival& arrival) {
  const uint8_t* p = arrival.data;
  if (arrival.size < kBfdPacketSize || p[0] >> 5 != 1) return false;
  bool authenticated = p[1] & kAuthenticated;
  if (authenticated ? p[3] < kBfdPacketSize + 2 : p[3] != kBfdPacketSize) return false;
  bool mayLackDiscriminator = p[1] >> 6 <= 1;  // AdminDown, Down
  return p[3] <= arrival.size && p[2] != 0 && !(p[1] & kMultipoint) && Word(p + 4) != 0 &&
         (Word(p + 8) != 0 || mayLackDiscriminator);
}

void Raise(std::atomic<int64_t>* most, int64_t value) {
  // The reader sets it to zero meanwhile: then this value is of the next reading, or lost.
  if (value > most->load(std::memory_order_relaxed)) most->store(value, std::memory_order_relaxed);
}

}  // namespace

int64_t BfdThread::Session::DeadlineNs() const {
  if (!spec.detectNs || expired) return INT64_MAX;
  return std::max(heardNs + spec.detectNs, againNs);
}

int64_t BfdThread::Session::PauseMinNs() const {
  return std::max(spec.pauseMinNs, kPauseFloorNs);
}

// Of Seamless BFD: who was not asked can't have answered. A thread that was kept from asking knows
// nothing of the path.
bool BfdThread::Session::IsUnasked() const {
  return spec.seamless && asked < spec.detectNs / std::max(spec.pauseMaxNs, kPauseFloorNs);
}

// Somewhat before the pause that was drawn, and never before the shortest there is.
int64_t BfdThread::Session::SendableNs() const {
  if (nextSendNs == INT64_MAX) return nextSendNs;
  int64_t slackNs = (spec.pauseMaxNs - PauseMinNs()) / kSlackShare;
  return std::min(nextSendNs, std::max(nextSendNs - slackNs, lastSentNs + PauseMinNs()));
}

BfdThread::BfdThread(std::shared_ptr<BfdChannel> channel, std::shared_ptr<BfdCounters> strangers)
    : channel_(std::move(channel)), strangers_(std::move(strangers)) {
  size_t i = 0;
  for (int family : {AF_INET, AF_INET6})
    for (bool multihop : {false, true})
      for (bool seamless : {false, true})
        receivers_[i++] = std::make_unique<BfdReceiver>(BfdKind{family, multihop, seamless});
  if (getrandom(&random_, sizeof random_, 0) != sizeof random_) Fail("getrandom");
}

void BfdThread::Run() {
  while (!stopped_) {
    Wait();
    RunDue();
  }
}

// Until something is due or comes; reads one batch of what came, so that sending never waits for
// more.
void BfdThread::Wait() {
  std::array<pollfd, kReceivers + 1> polled{};
  for (size_t i = 0; i < kReceivers; i++) polled[i] = {receivers_[i]->fd(), POLLIN, 0};
  polled[kReceivers] = {channel_->commandFd(), POLLIN, 0};
  timespec timeout{};
  BfdDue* first = schedule_.First();
  bool idle = !first || first->dueNs == INT64_MAX;
  if (!idle) {
    int64_t leftNs = std::max<int64_t>(first->dueNs - NowNs(), 0);
    timeout = {leftNs / 1'000'000'000, leftNs % 1'000'000'000};
  }
  if (ppoll(polled.data(), polled.size(), idle ? nullptr : &timeout, nullptr) <= 0) return;
  if (polled[kReceivers].revents) Obey();
  for (size_t i = 0; i < kReceivers; i++)
    if (polled[i].revents) receivers_[i]->Read(0, [this](const BfdArrival& a) { Take(a); });
}

void BfdThread::Obey() {
  channel_->TakeCommands(&commands_);
  for (BfdCommand& command : commands_) std::visit([this](auto& each) { Do(each); }, command);
  commands_.clear();
  if (peersChanged_) TakeFromPeers();
}

void BfdThread::TakeFromPeers() {
  peersChanged_ = false;
  for (auto& receiver : receivers_) {
    if (!receiver->kind().multihop) continue;
    std::vector<BfdAddress> peers;
    for (auto& [_, session] : sessions_) {
      const BfdSessionSpec& spec = session->spec;
      if (BfdKind::Of(spec).Equals(receiver->kind())) peers.push_back(spec.remote);
    }
    receiver->TakeFrom(peers);
  }
}

void BfdThread::Do(BfdSet& command) {
  int64_t nowNs = NowNs();
  const BfdSessionSpec& spec = command.spec;
  auto& slot = sessions_[spec.discriminator];
  if (!slot) slot = std::make_unique<Session>();
  Session* session = slot.get();
  const BfdSessionSpec& before = session->spec;
  bool localEqual = before.local.has_value() == spec.local.has_value() &&
                    (!spec.local || spec.local->Equals(*before.local));
  if (!localEqual || !before.remote.Equals(spec.remote) || before.multihop != spec.multihop ||
      before.seamless != spec.seamless) {
    session->sender.Close();
    peersChanged_ |= before.multihop || spec.multihop;
  }
  if (!session->heard && !before.detectNs) session->heardNs = nowNs;
  if (!spec.detectNs) session->expired = false;
  bool begins = !before.packet;
  session->spec = spec;
  session->counters = std::move(command.counters);
  if (!session->spec.packet)
    session->nextSendNs = INT64_MAX;
  else if (begins)
    session->nextSendNs = nowNs;
  else
    session->nextSendNs =
        std::min(session->nextSendNs, std::max(nowNs, session->lastSentNs + DrawPause(*session)));
  schedule_.Put(session, session->DueNs());
}

void BfdThread::Do(const BfdSend& command) {
  auto found = sessions_.find(command.discriminator);
  if (found != sessions_.end()) Send(found->second.get(), command.packet);
}

void BfdThread::Do(const BfdRemove& command) {
  auto found = sessions_.find(command.discriminator);
  if (found == sessions_.end()) return;
  schedule_.Take(found->second.get());
  peersChanged_ |= found->second->spec.multihop;
  sessions_.erase(found);
}

void BfdThread::RunDue() {
  int64_t nowNs = NowNs();
  bool drained = false;
  for (;;) {
    auto* session = static_cast<Session*>(schedule_.First());
    if (!session) return;
    if (session->ReadyNs() > nowNs) {
      if (session->dueNs > nowNs) return;
      schedule_.Put(session, session->DueNs());  // its deadline was put off meanwhile
      continue;
    }
    if (session->SendableNs() <= nowNs) SendTimed(session, nowNs);
    if (session->DeadlineNs() <= nowNs && !drained) {
      drained = true;
      Drain(nowNs);
    }
    if (session->DeadlineNs() <= nowNs) Expire(session, nowNs);
    schedule_.Put(session, session->DueNs());
  }
}

// Reads all that came before now.
void BfdThread::Drain(int64_t nowNs) {
  for (auto& receiver : receivers_)
    while (receiver->Read(nowNs, [this](const BfdArrival& arrival) { Take(arrival); })) {
    }
}

void BfdThread::SendTimed(Session* session, int64_t nowNs) {
  Raise(&session->counters->lateMaxNs, nowNs - session->nextSendNs);
  session->lastSentNs = nowNs;
  session->nextSendNs = nowNs + DrawPause(*session);
  session->asked++;
  Send(session, *session->spec.packet);
}

void BfdThread::Send(Session* session, const BfdPacket& packet) {
  BfdSessionSpec& spec = session->spec;
  int error = spec.seamless ? BfdSender::SendBy(ReceiverOf(spec).fd(), spec, packet)
                            : session->sender.Send(spec, &spec.remote, packet,
                                                   static_cast<uint32_t>(Random() >> 32));
  if (!error) session->counters->sent.fetch_add(1, std::memory_order_relaxed);
  if (error == session->sendError) return;
  BfdEvent event{};
  event.kind = BfdEvent::kSendFailed;
  event.discriminator = session->spec.discriminator;
  event.error = error;
  event.atNs = NowNs();
  if (channel_->Report(event)) session->sendError = error;
}

void BfdThread::Expire(Session* session, int64_t nowNs) {
  if (session->IsUnasked()) {
    session->againNs = nowNs + session->spec.detectNs;
    return;
  }
  int64_t lateNs = nowNs - session->heardNs - session->spec.detectNs;
  if (lateNs > kLateNs && !session->againNs) {
    session->againNs = nowNs + kLateNs;
    return;
  }
  BfdEvent event{};
  event.kind = BfdEvent::kExpired;
  event.discriminator = session->spec.discriminator;
  event.atNs = nowNs;
  event.lateNs = lateNs;
  if (channel_->Report(event)) {
    session->expired = true;
    session->againNs = 0;
  } else {
    session->againNs = nowNs + kLateNs;  // no room: an expiry is never lost
  }
}

void BfdThread::Take(const BfdArrival& arrival) {
  bool wellFormed = WellFormed(arrival);
  Session* session = nullptr;
  uint32_t yours = wellFormed ? Word(arrival.data + 8) : 0;
  session = yours ? FindByDiscriminator(yours, arrival) : FindBySource(arrival);
  // RFC 7880 §7.3: an answer clears it; what has it is a question, and none for us.
  if (session && session->spec.seamless && arrival.data[1] & kDemand) wellFormed = false;
  BfdCounters& counters = session ? *session->counters : *strangers_;
  if (!wellFormed) {
    counters.dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  counters.received.fetch_add(1, std::memory_order_relaxed);
  if (!session) return ReportPacket(nullptr, arrival);
  bool authenticated = arrival.data[1] & kAuthenticated;
  if (!authenticated) Refresh(session, arrival.atNs);
  const auto& expect = session->spec.expect;
  if (expect && memcmp(expect->data(), arrival.data, kBfdPacketSize) == 0) return;
  ReportPacket(session, arrival);
}

// The discriminator alone would let anybody who has seen one speak for the peer.
BfdThread::Session* BfdThread::FindByDiscriminator(uint32_t yours, const BfdArrival& arrival) {
  auto found = sessions_.find(yours);
  if (found == sessions_.end()) return nullptr;
  const BfdSessionSpec& spec = found->second->spec;
  bool isItsPeer = BfdKind::Of(spec).Equals(arrival.kind) && spec.remote.Equals(arrival.source);
  return isItsPeer ? found->second.get() : nullptr;
}

const BfdReceiver& BfdThread::ReceiverOf(const BfdSessionSpec& spec) const {
  BfdKind kind = BfdKind::Of(spec);
  auto found = std::find_if(receivers_.begin(), receivers_.end(),
                            [&kind](const auto& each) { return each->kind().Equals(kind); });
  return **found;  // there is one of each kind
}

BfdThread::Session* BfdThread::FindBySource(const BfdArrival& arrival) {
  for (auto& [_, session] : sessions_) {
    const BfdSessionSpec& spec = session->spec;
    if (BfdKind::Of(spec).Equals(arrival.kind) && spec.remote.Equals(arrival.source) &&
        (!spec.local || spec.local->Equals(arrival.destination)))
      return session.get();
  }
  return nullptr;
}

void BfdThread::Refresh(Session* session, int64_t atNs) {
  if (session->heard) Raise(&session->counters->gapMaxNs, atNs - session->heardNs);
  session->heardNs = std::max(session->heardNs, atNs);
  session->heard = true;
  session->asked = 0;
  session->againNs = 0;
  if (!session->expired) return;  // its place in the schedule is early, never late
  session->expired = false;
  schedule_.Put(session, session->DueNs());
}

void BfdThread::ReportPacket(Session* session, const BfdArrival& arrival) {
  BfdEvent event{};
  event.kind = BfdEvent::kPacket;
  event.multihop = arrival.kind.multihop;
  event.ttl = static_cast<uint8_t>(arrival.ttl);
  event.size = static_cast<uint8_t>(std::min<size_t>(arrival.data[3], kBfdPacketRoom));
  event.discriminator = session ? session->spec.discriminator : 0;
  event.atNs = arrival.atNs;
  event.source = arrival.source;
  memcpy(event.packet.data(), arrival.data, event.size);
  if (channel_->Report(event)) return;
  BfdCounters& counters = session ? *session->counters : *strangers_;
  counters.unreported.fetch_add(1, std::memory_order_relaxed);
}

int64_t BfdThread::DrawPause(const Session& session) {
  int64_t leastNs = session.PauseMinNs();
  int64_t spanNs = std::max<int64_t>(session.spec.pauseMaxNs - leastNs, 0) + 1;
  return leastNs + static_cast<int64_t>(Random() % static_cast<uint64_t>(spanNs));
}

// SplitMix64: jitter needs no more.
uint64_t BfdThread::Random() {
  random_ += 0x9e3779b97f4a7c15;
  uint64_t z = (random_ ^ (random_ >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
