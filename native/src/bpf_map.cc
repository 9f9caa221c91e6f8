#include "bpf_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <fstream>
#include <limits>

#include "addon_data.h"
#include "bpf_common.h"
#include "mapping.h"
#include "task.h"

namespace {

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

uint32_t NumberOf(Napi::Object object, const char* name) {
  Napi::Value value = object.Get(name);
  if (!value.IsNumber()) throw Napi::TypeError::New(object.Env(), std::string(name) + ": a number");
  return value.As<Napi::Number>().Uint32Value();
}

// Of /proc/self/fdinfo: what the kernel charges for the map, in bytes.
double ReadMemlock(const Fd& fd) {
  std::ifstream lines("/proc/self/fdinfo/" + std::to_string(fd.get()));
  std::string name;
  double bytes = 0;
  while (lines >> name) {
    if (name == "memlock:" && lines >> bytes) return bytes;
    lines.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  Fail("read", ENODATA, "no memlock in fdinfo");
}

// What goes to the pool: copies, since JavaScript may take its buffer back meanwhile.
struct Batch {
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
  uint32_t count;
};

uint32_t WriteBatch(const Fd& map, const Batch& batch) {
  uint32_t done = batch.count;
  int failed =
      bpf_map_update_batch(map.get(), batch.keys.data(), batch.values.data(), &done, nullptr);
  if (!failed) return done;
  std::string log = std::to_string(done) + " of " + std::to_string(batch.count) + " are written";
  Fail("bpf_map_update_batch", -failed, log);
}

}  // namespace

Napi::Function BpfMap::Define(Napi::Env env) {
  return DefineClass(env, "BpfMap",
                     {
                         StaticMethod<&BpfMap::Open>("open"),
                         StaticMethod<&BpfMap::OpenById>("openById"),
                         StaticMethod<&BpfMap::Create>("create"),
                         InstanceAccessor<&BpfMap::Info>("info"),
                         InstanceMethod<&BpfMap::Lookup>("lookup"),
                         InstanceMethod<&BpfMap::Update>("update"),
                         InstanceMethod<&BpfMap::Delete>("delete"),
                         InstanceMethod<&BpfMap::SetInner>("setInner"),
                         InstanceMethod<&BpfMap::UpdateBatch>("updateBatch"),
                         InstanceMethod<&BpfMap::Mmap>("mmap"),
                         InstanceMethod<&BpfMap::Keys>("keys"),
                         InstanceMethod<&BpfMap::MemlockBytes>("memlockBytes"),
                         InstanceMethod<&BpfMap::PinAt>("pin"),
                         InstanceMethod<&BpfMap::Close>("close"),
                     });
}

BpfMap::BpfMap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), fd_(TakeExternal<SharedFd>(info, "BpfObject.map or BpfMap.open")) {
  Sync(info.Env(), [&] {
    bpf_map_info kernel;
    ReadInfo(*fd_, &kernel, sizeof kernel);
    keySize_ = kernel.key_size;
    valueSize_ = kernel.value_size;
    if (IsPerCpu(kernel.type)) valueSize_ = (valueSize_ + 7) / 8 * 8 * libbpf_num_possible_cpus();
  });
}

Napi::Value BpfMap::Open(const Napi::CallbackInfo& info) {
  std::string path = StringArg(info, 0);
  return Construct(Data(info.Env()).bpfMap,
                   Sync(info.Env(), [&] { return OpenPin(path, "bpf-map"); }));
}

Napi::Value BpfMap::OpenById(const Napi::CallbackInfo& info) {
  int fd = bpf_map_get_fd_by_id(IntArg(info, 0));
  if (fd < 0) throw ToJs(info.Env(), {-fd, "bpf_map_get_fd_by_id", ""});
  return Construct(Data(info.Env()).bpfMap, std::make_shared<Fd>(fd));
}

Napi::Value BpfMap::Create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsObject()) throw BadArgument(env, 0, "a MapDefinition");
  auto definition = info[0].As<Napi::Object>();
  Napi::Value name = definition.Get("name");
  if (!name.IsString()) throw Napi::TypeError::New(env, "name: a string");
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = NumberOf(definition, "flags");
  int fd = bpf_map_create(static_cast<bpf_map_type>(NumberOf(definition, "type")),
                          name.As<Napi::String>().Utf8Value().c_str(),
                          NumberOf(definition, "keySize"), NumberOf(definition, "valueSize"),
                          NumberOf(definition, "maxEntries"), &options);
  if (fd < 0) throw ToJs(env, {-fd, "bpf_map_create", ""});
  return Construct(Data(env).bpfMap, std::make_shared<Fd>(fd));
}

SharedFd BpfMap::FdArg(const Napi::CallbackInfo& info, size_t index) {
  Napi::Value value = info[index];
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(Data(info.Env()).bpfMap.Value()))
    throw BadArgument(info.Env(), index, "a BpfMap");
  BpfMap* map = Unwrap(value.As<Napi::Object>());
  map->OpenFd(info.Env());
  return map->fd_;
}

Napi::Value BpfMap::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenFd(env);
  bpf_map_info kernel;
  Sync(env, [&] { ReadInfo(*fd_, &kernel, sizeof kernel); });
  auto result = Napi::Object::New(env);
  result.Set("id", kernel.id);
  result.Set("type", kernel.type);
  result.Set("name", Napi::String::New(env, kernel.name));
  result.Set("keySize", keySize_);
  result.Set("valueSize", valueSize_);
  result.Set("maxEntries", kernel.max_entries);
  result.Set("flags", kernel.map_flags);
  return result;
}

int BpfMap::OpenFd(Napi::Env env) {
  if (!fd_) throw ToJs(env, {EBADF, "BpfMap is closed", ""});
  return fd_->get();
}

uint8_t* BpfMap::Exactly(const Napi::CallbackInfo& info, size_t index, size_t size) {
  Bytes bytes = BytesArg(info, index);
  if (bytes.size != size)
    throw BadArgument(info.Env(), index, ("of " + std::to_string(size) + " bytes").c_str());
  return bytes.data;
}

// False where the key is absent.
Napi::Value BpfMap::Lookup(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int failed =
      bpf_map_lookup_elem(OpenFd(env), Exactly(info, 0, keySize_), Exactly(info, 1, valueSize_));
  if (failed && failed != -ENOENT) throw ToJs(env, {-failed, "bpf_map_lookup_elem", ""});
  return Napi::Boolean::New(env, !failed);
}

void BpfMap::Update(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int failed = bpf_map_update_elem(OpenFd(env), Exactly(info, 0, keySize_),
                                   Exactly(info, 1, valueSize_), IntArg(info, 2));
  if (failed) throw ToJs(env, {-failed, "bpf_map_update_elem", ""});
}

Napi::Value BpfMap::Delete(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int failed = bpf_map_delete_elem(OpenFd(env), Exactly(info, 0, keySize_));
  if (failed && failed != -ENOENT) throw ToJs(env, {-failed, "bpf_map_delete_elem", ""});
  return Napi::Boolean::New(env, !failed);
}

// The kernel waits for RCU before it answers, hence not on the loop.
Napi::Value BpfMap::SetInner(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenFd(env);
  const uint8_t* key = Exactly(info, 0, keySize_);
  auto work = [map = fd_, key = std::vector<uint8_t>(key, key + keySize_),
               inner = info[1].IsNull() ? nullptr : FdArg(info, 1)] {
    if (!inner) {
      int failed = bpf_map_delete_elem(map->get(), key.data());
      if (failed && failed != -ENOENT) Fail("bpf_map_delete_elem", -failed);
      return;
    }
    int fd = inner->get();
    int failed = bpf_map_update_elem(map->get(), key.data(), &fd, BPF_ANY);
    if (failed) Fail("bpf_map_update_elem", -failed);
  };
  return RunTask(env, work);
}

Napi::Value BpfMap::UpdateBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenFd(env);
  int32_t count = IntArg(info, 2);
  if (count < 1) throw BadArgument(env, 2, "at least 1");
  Exactly(info, 0, count * keySize_);
  Exactly(info, 1, count * valueSize_);
  auto work = [map = fd_,
               batch = Batch{CopyArg(info, 0), CopyArg(info, 1), static_cast<uint32_t>(count)}] {
    return WriteBatch(*map, batch);
  };
  return Task<uint32_t>::Run(env, work, [](Napi::Env env, uint32_t done) -> Napi::Value {
    return Napi::Number::New(env, done);
  });
}

Napi::Value BpfMap::Mmap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenFd(env);
  if (mapped_.IsEmpty()) {
    auto array = Sync(env, [&] { return MapMemory(env, *fd_); });
    mapped_ = Napi::Persistent(array);
  }
  return {env, mapped_.Value()};
}

Napi::Value BpfMap::Keys(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = OpenFd(env);
  Bytes out = BytesArg(info, 1);
  const uint8_t* before = info[0].IsNull() ? nullptr : Exactly(info, 0, keySize_);
  uint32_t count = 0;
  for (; (count + 1) * keySize_ <= out.size; count++) {
    uint8_t* next = out.data + count * keySize_;
    int failed = bpf_map_get_next_key(fd, before, next);
    if (failed == -ENOENT) break;
    if (failed) throw ToJs(env, {-failed, "bpf_map_get_next_key", ""});
    before = next;
  }
  return Napi::Number::New(env, count);
}

Napi::Value BpfMap::MemlockBytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OpenFd(env);
  return Napi::Number::New(env, Sync(env, [&] { return ReadMemlock(*fd_); }));
}

void BpfMap::PinAt(const Napi::CallbackInfo& info) {
  std::string path = StringArg(info, 0);
  OpenFd(info.Env());
  Sync(info.Env(), [&] { Pin(*fd_, path); });
}

// Without its backing store nothing in JavaScript reaches the mapping, which goes with it.
void BpfMap::Close(const Napi::CallbackInfo&) {
  fd_.reset();
  if (mapped_.IsEmpty()) return;
  Napi::ArrayBuffer buffer = mapped_.Value().ArrayBuffer();
  if (!buffer.IsDetached()) buffer.Detach();
  mapped_.Reset();
}
