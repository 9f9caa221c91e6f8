// A loaded BPF object file: its maps and programs by name.
#pragma once
#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>

using SharedObject = std::shared_ptr<bpf_object>;

class BpfObject : public Napi::ObjectWrap<BpfObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit BpfObject(const Napi::CallbackInfo& info);

 private:
  static Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value Program(const Napi::CallbackInfo& info);
  Napi::Value Map(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  bpf_object* Open(Napi::Env env);

  SharedObject object_;
};
