#include "bpf_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "addon_data.h"
#include "bpf_common.h"
#include "errors.h"

namespace {

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

}  // namespace

Napi::Function BpfMap::Define(Napi::Env env) {
  return DefineClass(env, "BpfMap",
                     {
                         StaticMethod<&BpfMap::Open>("open"),
                         InstanceAccessor<&BpfMap::Info>("info"),
                         InstanceMethod<&BpfMap::Lookup>("lookup"),
                         InstanceMethod<&BpfMap::Update>("update"),
                         InstanceMethod<&BpfMap::Delete>("delete"),
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

void BpfMap::Close(const Napi::CallbackInfo&) {
  fd_.reset();
}
