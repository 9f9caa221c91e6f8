#include "errors.h"

#include <cstring>

void Fail(const char* syscall, int error, std::string log) {
  throw Failure{error, syscall, std::move(log)};
}

Napi::Error ToJs(Napi::Env env, const Failure& failure) {
  const char* code = strerrorname_np(failure.error);
  const char* text = strerrordesc_np(failure.error);
  std::string name = code ? code : "E" + std::to_string(failure.error);
  std::string message = name + ": " + (text ? text : "unknown error") + ", " + failure.syscall;
  if (!failure.log.empty()) message += "\n" + failure.log;
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, name));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.syscall));
  error.Set("log", failure.log.empty() ? env.Null() : Napi::String::New(env, failure.log));
  return error;
}
