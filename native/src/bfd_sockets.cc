#include "bfd_sockets.h"

#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "errors.h"

namespace {

constexpr uint16_t kSingleHopPort = 3784;
constexpr uint16_t kMultihopPort = 4784;
constexpr uint16_t kSeamlessPort = 7784;
constexpr uint16_t kFirstSourcePort = 49152;
constexpr uint16_t kSourcePorts = 16384;
constexpr int kPortTries = 64;
constexpr int kMaxTtl = 255;
constexpr int kClassSelector6 = 48 << 2;
// TC_PRIO_INTERACTIVE: of the same band as TC_PRIO_CONTROL, which wants CAP_NET_ADMIN.
constexpr int kBandPriority = 6;
// What comes while the thread is kept from running: some thousand packets.
constexpr int kReceiveBytes = 4 << 20;
// Between the two clocks and the kernel's own stamp.
constexpr int64_t kStampSlackNs = 200'000;

void SetOption(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) Fail(name);
}

int OpenUdp(int family) {
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  if (fd < 0) Fail("socket");
  return fd;
}

constexpr sock_filter kTaken = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
constexpr sock_filter kDropped = BPF_STMT(BPF_RET | BPF_K, 0);

// False: the kernel has no room for it, and the filter before it stays.
bool Filter(int fd, std::vector<sock_filter> code) {
  if (code.size() > BPF_MAXINSNS) return false;
  sock_fprog program{static_cast<uint16_t>(code.size()), code.data()};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

// RFC 5881 §5: what a router has passed on is not taken. IP_MINTTL is TCP's alone.
void RequireMaxTtl(int fd, int family) {
  uint32_t ttl =
      SKF_NET_OFF + (family == AF_INET ? offsetof(iphdr, ttl) : offsetof(ip6_hdr, ip6_hops));
  if (!Filter(fd, {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ttl),
                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMaxTtl, 0, 1), kTaken, kDropped}))
    Fail("SO_ATTACH_FILTER");
}

// Takes what comes from there, and goes on behind it with what does not.
void TakeSource(std::vector<sock_filter>* code, const BfdAddress& source) {
  bool isIpv4 = source.family == AF_INET;
  uint32_t at = SKF_NET_OFF + (isIpv4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src));
  uint32_t words = isIpv4 ? 1 : 4;
  for (uint32_t i = 0; i < words; i++) {
    auto rest = static_cast<uint8_t>((words - 1 - i) * 2 + 1);
    code->push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + i * 4));
    code->push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, source.Word(i), 0, rest));
  }
  code->push_back(kTaken);
}

// 0 or errno.
int Bind(int fd, const BfdAddress& local, uint16_t port) {
  sockaddr_storage address;
  socklen_t size = local.Fill(&address, port);
  return bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 ? 0 : errno;
}

BfdAddress AnyOf(int family) {
  BfdAddress any;
  any.family = family;
  return any;
}

// One of the ports that BFD sends from; the 0th of `random` first. 0: none is free, or another
// error, in errno.
uint16_t BindToSourcePort(int fd, const BfdAddress& local, uint32_t random) {
  for (int i = 0; i < kPortTries; i++) {
    uint16_t port = kFirstSourcePort + (random + i * 7919) % kSourcePorts;
    errno = Bind(fd, local, port);
    if (!errno) return port;
    if (errno != EADDRINUSE) return 0;
  }
  return 0;
}

// What each packet of BFD is sent with: RFC 5881 §5, RFC 7881 §4.
void SetSendOptions(int fd, int family) {
  bool isIpv4 = family == AF_INET;
  int level = isIpv4 ? IPPROTO_IP : IPPROTO_IPV6;
  SetOption(fd, level, isIpv4 ? IP_TTL : IPV6_UNICAST_HOPS, kMaxTtl, "IP_TTL");
  SetOption(fd, level, isIpv4 ? IP_TOS : IPV6_TCLASS, kClassSelector6, "IP_TOS");
  SetOption(fd, SOL_SOCKET, SO_PRIORITY, kBandPriority, "SO_PRIORITY");
  if (!isIpv4) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
}

}  // namespace

BfdReceiver::BfdReceiver(BfdKind kind)
    : fd_(OpenUdp(kind.family)), kind_(kind), slots_(std::make_unique<std::array<Slot, kBatch>>()) {
  auto [family, multihop, seamless] = kind;
  int fd = fd_.get();
  SetOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  int bytes = kReceiveBytes;
  // Above net.core.rmem_max only with CAP_NET_ADMIN.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (family == AF_INET) {
    SetOption(fd, IPPROTO_IP, IP_RECVTTL, 1, "IP_RECVTTL");
    SetOption(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  } else {
    SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
    SetOption(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT");
    SetOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  }
  if (multihop)
    TakeFrom({});
  else
    RequireMaxTtl(fd, family);
  if (seamless) {
    SetSendOptions(fd, family);
    // Answers come to no other port: one that nobody could foretell is one forgery less.
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) Fail("getrandom");
    if (!BindToSourcePort(fd, AnyOf(family), random)) Fail("bind");
  } else {
    errno = Bind(fd, AnyOf(family), multihop ? kMultihopPort : kSingleHopPort);
    if (errno) Fail("bind");
  }
  for (size_t i = 0; i < kBatch; i++) {
    Slot& slot = (*slots_)[i];
    slot.vector = {slot.data.data(), slot.data.size()};
    headers_[i].msg_hdr.msg_iov = &slot.vector;
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_name = &slot.source;
    headers_[i].msg_hdr.msg_control = slot.control.data();
  }
}

void BfdReceiver::TakeFrom(const std::vector<BfdAddress>& sources) {
  std::vector<sock_filter> code;
  for (const BfdAddress& source : sources) TakeSource(&code, source);
  code.push_back(kDropped);
  // So many that they fit into no filter: then all are read, and those of no session left.
  if (!Filter(fd_.get(), std::move(code))) Filter(fd_.get(), {kTaken});
}

size_t BfdReceiver::ReadBatch() {
  for (size_t i = 0; i < kBatch; i++) {
    headers_[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    headers_[i].msg_hdr.msg_controllen = (*slots_)[i].control.size();
  }
  int64_t beforeNs = NowNs();
  int count = recvmmsg(fd_.get(), headers_.data(), kBatch, 0, nullptr);
  size_t read = count < 0 ? 0 : static_cast<size_t>(count);
  // Once more where something came between the two clocks.
  for (int tries = 0; tries < 3; tries++) {
    int64_t firstNs = NowNs();
    realOffsetNs_ = NowNs(CLOCK_REALTIME) - firstNs;
    readNs_ = NowNs();
    if (readNs_ - firstNs < kStampSlackNs / 4) break;
  }
  if (read < kBatch) emptyNs_ = beforeNs;
  return read;
}

// A packet came after the socket was last seen empty and before it was read; a stamp that says
// otherwise was taken before somebody set the clock.
int64_t BfdReceiver::Monotonic(int64_t realtimeNs) const {
  int64_t atNs = realtimeNs - realOffsetNs_;
  return atNs > readNs_ || atNs < emptyNs_ - kStampSlackNs ? readNs_ : atNs;
}

BfdArrival BfdReceiver::Arrival(size_t index) const {
  const Slot& slot = (*slots_)[index];
  const msghdr& header = headers_[index].msg_hdr;
  BfdArrival arrival{
      slot.data.data(), headers_[index].msg_len, BfdAddress::From(slot.source), {}, 0, kind_,
      readNs_};
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(const_cast<msghdr*>(&header), c)) {
    const void* data = CMSG_DATA(c);
    auto is = [c](int level, int type) { return c->cmsg_level == level && c->cmsg_type == type; };
    if (is(SOL_SOCKET, SCM_TIMESTAMPNS)) {
      const auto* stamp = static_cast<const timespec*>(data);
      arrival.atNs = Monotonic(stamp->tv_sec * 1'000'000'000LL + stamp->tv_nsec);
    } else if (is(IPPROTO_IP, IP_TTL) || is(IPPROTO_IPV6, IPV6_HOPLIMIT)) {
      memcpy(&arrival.ttl, data, sizeof arrival.ttl);
    } else if (is(IPPROTO_IP, IP_PKTINFO)) {
      const auto* info = static_cast<const in_pktinfo*>(data);
      arrival.destination.family = AF_INET;
      memcpy(arrival.destination.bytes.data(), &info->ipi_addr, sizeof info->ipi_addr);
    } else if (is(IPPROTO_IPV6, IPV6_PKTINFO)) {
      const auto* info = static_cast<const in6_pktinfo*>(data);
      arrival.destination.family = AF_INET6;
      memcpy(arrival.destination.bytes.data(), &info->ipi6_addr, sizeof info->ipi6_addr);
    }
  }
  return arrival;
}

// Not connected: an ICMP error of a peer that does not listen yet is no news about the path, and
// the kernel may choose another source when addresses change.
int BfdSender::Open(const BfdSessionSpec& spec, uint32_t random) {
  int family = spec.remote.family;
  try {
    auto fd = std::make_unique<Fd>(OpenUdp(family));
    SetSendOptions(fd->get(), family);
    BfdAddress local = spec.local ? *spec.local : AnyOf(family);
    local.LookUpScope();
    int error = port_ ? Bind(fd->get(), local, port_) : EADDRINUSE;
    if (error == EADDRINUSE) {
      port_ = BindToSourcePort(fd->get(), local, random);
      error = port_ ? 0 : errno;
    }
    if (!error) fd_ = std::move(fd);
    return error;
  } catch (const Failure& failure) {
    return failure.error;
  }
}

int BfdSender::Send(const BfdSessionSpec& spec, BfdAddress* remote, const BfdPacket& packet,
                    uint32_t random) {
  if (!fd_) {
    remote->LookUpScope();
    toSize_ = remote->Fill(&to_, spec.multihop ? kMultihopPort : kSingleHopPort);
    if (int error = Open(spec, random)) return error;
  }
  ssize_t sent = sendto(fd_->get(), packet.data(), packet.size(), 0,
                        reinterpret_cast<const sockaddr*>(&to_), toSize_);
  if (sent >= 0) return 0;
  int error = errno;
  // Interfaces and addresses come and go: the next packet begins with a new socket.
  if (error != EAGAIN && error != ENOBUFS && error != EINTR) fd_.reset();
  return error;
}

// The socket is bound to no address: each packet says where it comes from.
int BfdSender::SendBy(int fd, const BfdSessionSpec& spec, const BfdPacket& packet) {
  sockaddr_storage to;
  alignas(8) std::array<uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  iovec vector{const_cast<uint8_t*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_namelen = spec.remote.Fill(&to, kSeamlessPort);
  message.msg_name = &to;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (spec.local) {
    bool isIpv4 = spec.local->family == AF_INET;
    in_pktinfo info{};
    in6_pktinfo info6{};
    memcpy(&info.ipi_spec_dst, spec.local->bytes.data(), sizeof info.ipi_spec_dst);
    memcpy(&info6.ipi6_addr, spec.local->bytes.data(), sizeof info6.ipi6_addr);
    size_t size = isIpv4 ? sizeof info : sizeof info6;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = isIpv4 ? IPPROTO_IP : IPPROTO_IPV6;
    header->cmsg_type = isIpv4 ? IP_PKTINFO : IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), isIpv4 ? static_cast<void*>(&info) : &info6, size);
  }
  return sendmsg(fd, &message, 0) >= 0 ? 0 : errno;
}
