// Per environment: the constructors, and how objects are made from native code only.
#pragma once
#include <napi.h>

#include <string>
#include <utility>

struct AddonData {
  Napi::FunctionReference nlSocket;
  Napi::FunctionReference bpfObject;
  Napi::FunctionReference bpfProgram;
  Napi::FunctionReference bpfMap;
  Napi::FunctionReference bpfLink;
  Napi::FunctionReference ringReader;
  Napi::FunctionReference bfdPacer;
};

inline AddonData& Data(Napi::Env env) {
  return *env.GetInstanceData<AddonData>();
}

// `new Class(External)`: the value moves into the object.
template <typename T>
Napi::Object Construct(const Napi::FunctionReference& constructor, T value) {
  return constructor.New({Napi::External<T>::New(constructor.Env(), &value)});
}

// The other half, for the constructor of Class; `factory` is named in the error of a plain `new`.
template <typename T>
T TakeExternal(const Napi::CallbackInfo& info, const char* factory) {
  if (!info[0].IsExternal())
    throw Napi::TypeError::New(info.Env(), std::string("not constructible: use ") + factory);
  return std::move(*info[0].As<Napi::External<T>>().Data());
}
