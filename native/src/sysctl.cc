#include "sysctl.h"

#include <fcntl.h>

#include <optional>
#include <string>
#include <vector>

#include "args.h"
#include "netns.h"
#include "task.h"

namespace {

using Value = std::optional<std::string>;

// Null where the key does not exist.
Value Read(const std::string& key) {
  Fd file(open(("/proc/sys/" + key).c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::nullopt;
    Fail("open");
  }
  char buffer[4096];
  ssize_t size = read(file.get(), buffer, sizeof buffer);
  if (size < 0) Fail("read");
  while (size > 0 && buffer[size - 1] == '\n') size--;
  return std::string(buffer, size);
}

void Write(const std::string& key, const std::string& value) {
  Fd file(open(("/proc/sys/" + key).c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) Fail("open");
  if (write(file.get(), value.data(), value.size()) < 0) Fail("write");
}

Napi::Value ToValue(Napi::Env env, const Value& value) {
  return value ? Napi::String::New(env, *value) : env.Null();
}

Napi::Value SysctlRead(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd ns = Sync(env, [&] { return Duplicate(NsArg(info, 0)); });
  if (!info[1].IsArray()) throw BadArgument(env, 1, "an array of strings");
  std::vector<std::string> keys;
  auto array = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) keys.push_back(array.Get(i).ToString().Utf8Value());
  auto work = [ns, keys] {
    std::vector<Value> values;
    InNetns(ns ? ns->get() : -1, [&] {
      for (const auto& key : keys) values.push_back(Read(key));
    });
    return values;
  };
  return Task<std::vector<Value>>::Run(env, work,
                                       [](Napi::Env env, std::vector<Value> values) -> Napi::Value {
                                         auto result = Napi::Array::New(env, values.size());
                                         for (uint32_t i = 0; i < values.size(); i++)
                                           result.Set(i, ToValue(env, values[i]));
                                         return result;
                                       });
}

// Resolves to the value before.
Napi::Value SysctlWrite(const Napi::CallbackInfo& info) {
  SharedFd ns = Sync(info.Env(), [&] { return Duplicate(NsArg(info, 0)); });
  auto work = [ns, key = StringArg(info, 1), value = StringArg(info, 2)] {
    Value former;
    InNetns(ns ? ns->get() : -1, [&] {
      former = Read(key);
      Write(key, value);
    });
    return former;
  };
  return Task<Value>::Run(info.Env(), work, ToValue);
}

}  // namespace

void InitSysctl(Napi::Env env, Napi::Object exports) {
  exports.Set("sysctlRead", Napi::Function::New(env, SysctlRead));
  exports.Set("sysctlWrite", Napi::Function::New(env, SysctlWrite));
}
