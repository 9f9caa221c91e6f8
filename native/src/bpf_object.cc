#include "bpf_object.h"

#include <cstring>

#include "addon_data.h"
#include "args.h"
#include "bpf_common.h"
#include "netns.h"
#include "task.h"

namespace {

void SetRodata(bpf_object* opened, const std::vector<uint8_t>& bytes) {
  bpf_map* map = bpf_object__find_map_by_name(opened, ".rodata");
  if (!map) Fail("bpf_object__find_map_by_name", ENOENT, "the object has no .rodata");
  size_t size = 0;
  // libbpf's own copy, which it writes into the kernel and freezes at load.
  void* values = const_cast<void*>(bpf_map__initial_value(map, &size));
  if (!values || size < bytes.size())
    Fail("bpf_map__initial_value", EINVAL, ".rodata has " + std::to_string(size) + " bytes");
  memcpy(values, bytes.data(), bytes.size());
}

// Maps that the object pins by name are reused from below `pinRoot` where they are pinned already;
// without a root none is pinned (libbpf's default would be the bpf file system's own root).
SharedObject LoadObject(const std::vector<uint8_t>& elf, const std::string& pinRoot,
                        const std::vector<uint8_t>& rodata) {
  LibbpfLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.object_name = "aether";
  if (!pinRoot.empty()) options.pin_root_path = pinRoot.c_str();
  bpf_object* opened = bpf_object__open_mem(elf.data(), elf.size(), &options);
  // libbpf has errnos of its own from 4000 on: its words tell more than their numbers.
  if (!opened) Fail("bpf_object__open_mem", errno < 4000 ? errno : EINVAL, log.Tail());
  SharedObject object(opened, bpf_object__close);
  if (pinRoot.empty()) {
    bpf_map* map;
    bpf_object__for_each_map(map, opened) bpf_map__set_pin_path(map, nullptr);
  }
  if (!rodata.empty()) SetRodata(opened, rodata);
  int failed = bpf_object__load(opened);
  if (failed) Fail("bpf_object__load", -failed < 4000 ? -failed : EINVAL, log.Tail());
  return object;
}

}  // namespace

Napi::Function BpfObject::Define(Napi::Env env) {
  return DefineClass(env, "BpfObject",
                     {
                         StaticMethod<&BpfObject::Load>("load"),
                         InstanceMethod<&BpfObject::Program>("program"),
                         InstanceMethod<&BpfObject::Map>("map"),
                         InstanceMethod<&BpfObject::Close>("close"),
                     });
}

BpfObject::BpfObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), object_(TakeExternal<SharedObject>(info, "BpfObject.load")) {}

Napi::Value BpfObject::Load(const Napi::CallbackInfo& info) {
  auto work = [elf = CopyArg(info, 0),
               pinRoot = info[1].IsNull() ? std::string() : StringArg(info, 1),
               rodata = info[2].IsNull() ? std::vector<uint8_t>() : CopyArg(info, 2)] {
    return LoadObject(elf, pinRoot, rodata);
  };
  return Task<SharedObject>::Run(info.Env(), work,
                                 [](Napi::Env env, SharedObject object) -> Napi::Value {
                                   return Construct(Data(env).bpfObject, std::move(object));
                                 });
}

bpf_object* BpfObject::Open(Napi::Env env) {
  if (!object_) throw ToJs(env, {EBADF, "BpfObject is closed", ""});
  return object_.get();
}

// Programs and maps get fds of their own, so they outlive the object.
Napi::Value BpfObject::Program(const Napi::CallbackInfo& info) {
  std::string name = StringArg(info, 0);
  bpf_program* program = bpf_object__find_program_by_name(Open(info.Env()), name.c_str());
  if (!program) throw ToJs(info.Env(), {ENOENT, "BpfObject.program " + name, ""});
  return Construct(Data(info.Env()).bpfProgram,
                   Sync(info.Env(), [&] { return Duplicate(bpf_program__fd(program)); }));
}

Napi::Value BpfObject::Map(const Napi::CallbackInfo& info) {
  std::string name = StringArg(info, 0);
  bpf_map* map = bpf_object__find_map_by_name(Open(info.Env()), name.c_str());
  if (!map) throw ToJs(info.Env(), {ENOENT, "BpfObject.map " + name, ""});
  return Construct(Data(info.Env()).bpfMap,
                   Sync(info.Env(), [&] { return Duplicate(bpf_map__fd(map)); }));
}

void BpfObject::Close(const Napi::CallbackInfo&) {
  object_.reset();
}
