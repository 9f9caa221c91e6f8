#include "ring_reader.h"

#include "addon_data.h"
#include "args.h"
#include "bpf_common.h"
#include "bpf_map.h"
#include "errors.h"

namespace {

// Length as u32, then the bytes, padded to 8. Less than 0 ends libbpf's round; it has taken this
// record out of the ring by then.
int Append(void* context, void* data, size_t size) {
  auto* drain = static_cast<RingDrain*>(context);
  auto& records = drain->records;
  auto length = static_cast<uint32_t>(size);
  const auto* bytes = static_cast<const uint8_t*>(data);
  const auto* head = reinterpret_cast<const uint8_t*>(&length);
  records.insert(records.end(), head, head + sizeof length);
  records.insert(records.end(), bytes, bytes + size);
  records.resize((records.size() + 7) / 8 * 8);
  return records.size() < drain->limit ? 0 : -ENOBUFS;
}

}  // namespace

Ring::~Ring() {
  ring_buffer__free(reader);
}

Napi::Function RingReader::Define(Napi::Env env) {
  return DefineClass(env, "RingReader",
                     {
                         StaticMethod<&RingReader::Open>("open"),
                         InstanceMethod<&RingReader::Drain>("drain"),
                         InstanceMethod<&RingReader::Close>("close"),
                     });
}

RingReader::RingReader(const Napi::CallbackInfo& info)
    : ObjectWrap(info), ring_(TakeExternal<std::shared_ptr<Ring>>(info, "RingReader.open")) {}

Napi::Value RingReader::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto ring = std::make_shared<Ring>();
  ring->map = BpfMap::FdArg(info, 0);
  Sync(env, [&] {
    LibbpfLog log;
    ring->reader = ring_buffer__new(ring->map->get(), Append, &ring->drain, nullptr);
    if (!ring->reader) Fail("ring_buffer__new", errno < 4000 ? errno : EINVAL, log.Tail());
  });
  return Construct(Data(env).ringReader, std::move(ring));
}

Napi::Value RingReader::Drain(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!ring_) throw ToJs(env, {EBADF, "RingReader is closed", ""});
  int32_t limit = IntArg(info, 0);
  if (limit < 1) throw BadArgument(env, 0, "at least 1");
  RingDrain& drain = ring_->drain;
  drain.records.clear();
  drain.limit = limit;
  int result = ring_buffer__consume(ring_->reader);
  if (result < 0 && result != -ENOBUFS) throw ToJs(env, {-result, "ring_buffer__consume", ""});
  return {env, Napi::Buffer<uint8_t>::Copy(env, drain.records.data(), drain.records.size())};
}

void RingReader::Close(const Napi::CallbackInfo&) {
  ring_.reset();
}
