// Reading arguments. Types are checked here only so far that a wrong call throws instead of
// crashes; meaning is validated above, in adapters/native.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

inline Napi::TypeError BadArgument(Napi::Env env, size_t index, const char* wanted) {
  return Napi::TypeError::New(env, "argument " + std::to_string(index) + " must be " + wanted);
}

inline int32_t IntArg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) throw BadArgument(info.Env(), index, "a number");
  return info[index].As<Napi::Number>().Int32Value();
}

// A namespace's fd, or -1 for null: the one of the process.
inline int NsArg(const Napi::CallbackInfo& info, size_t index) {
  return info[index].IsNull() ? -1 : IntArg(info, index);
}

inline std::string StringArg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) throw BadArgument(info.Env(), index, "a string");
  return info[index].As<Napi::String>().Utf8Value();
}

struct Bytes {
  uint8_t* data;
  size_t size;
};

inline Bytes BytesArg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsTypedArray()) throw BadArgument(info.Env(), index, "a Uint8Array");
  auto array = info[index].As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array)
    throw BadArgument(info.Env(), index, "a Uint8Array");
  auto bytes = array.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.ByteLength()};
}

inline std::vector<uint8_t> CopyArg(const Napi::CallbackInfo& info, size_t index) {
  Bytes bytes = BytesArg(info, index);
  return std::vector<uint8_t>(bytes.data, bytes.data + bytes.size);
}
