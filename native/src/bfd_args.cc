#include "bfd_args.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "args.h"

namespace {

Napi::TypeError BadProperty(Napi::Env env, const char* name, const char* wanted) {
  return Napi::TypeError::New(env, std::string(name) + " must be " + wanted);
}

int64_t NanosecondsOf(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  double us = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  // Also what is no number at all, and more than a month.
  if (!(us >= 0 && us < 3e12)) throw BadProperty(object.Env(), name, "microseconds");
  return static_cast<int64_t>(us) * 1000;
}

BfdAddress AddressOf(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  std::optional<BfdAddress> address;
  if (value.IsString()) address = BfdAddress::Parse(value.As<Napi::String>().Utf8Value());
  if (!address) throw BadProperty(object.Env(), name, "an address");
  return *address;
}

std::optional<BfdPacket> PacketOf(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  if (value.IsNull()) return std::nullopt;
  return PacketArg(object.Env(), value, name);
}

}  // namespace

uint32_t DiscriminatorArg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) throw BadArgument(info.Env(), index, "a number");
  return info[index].As<Napi::Number>().Uint32Value();
}

BfdPacket PacketArg(Napi::Env env, const Napi::Value& value, const char* name) {
  BfdPacket packet{};
  if (value.IsTypedArray()) {
    auto array = value.As<Napi::TypedArray>();
    if (array.TypedArrayType() == napi_uint8_array && array.ByteLength() == packet.size()) {
      memcpy(packet.data(), value.As<Napi::Uint8Array>().Data(), packet.size());
      return packet;
    }
  }
  throw BadProperty(env, name, "a Uint8Array of 24 bytes");
}

BfdSessionSpec SessionArg(const Napi::CallbackInfo& info, size_t index) {
  Napi::Env env = info.Env();
  if (!info[index].IsObject()) throw BadArgument(env, index, "an object");
  auto object = info[index].As<Napi::Object>();
  BfdSessionSpec spec;
  Napi::Value discriminator = object.Get("discriminator");
  if (discriminator.IsNumber()) spec.discriminator = discriminator.As<Napi::Number>().Uint32Value();
  if (!spec.discriminator) throw BadProperty(env, "discriminator", "a number above 0");
  spec.remote = AddressOf(object, "remote");
  if (!object.Get("local").IsNull()) spec.local = AddressOf(object, "local");
  if (spec.local && spec.local->family != spec.remote.family)
    throw BadProperty(env, "local", "of the family of remote");
  if (!object.Get("multihop").IsBoolean()) throw BadProperty(env, "multihop", "a boolean");
  spec.multihop = object.Get("multihop").As<Napi::Boolean>().Value();
  if (!object.Get("seamless").IsBoolean()) throw BadProperty(env, "seamless", "a boolean");
  spec.seamless = object.Get("seamless").As<Napi::Boolean>().Value();
  spec.packet = PacketOf(object, "packet");
  spec.pauseMinNs = NanosecondsOf(object, "pauseMinUs");
  spec.pauseMaxNs = NanosecondsOf(object, "pauseMaxUs");
  spec.detectNs = NanosecondsOf(object, "detectUs");
  spec.expect = PacketOf(object, "expect");
  return spec;
}

Napi::Value ErrnoName(Napi::Env env, int error) {
  if (!error) return env.Null();
  const char* name = strerrorname_np(error);
  return Napi::String::New(env, name ? name : "E" + std::to_string(error));
}

Napi::Object EventToJs(Napi::Env env, const BfdEvent& event) {
  Napi::Object all = Napi::Object::New(env);
  all.Set("discriminator", Napi::Number::New(env, event.discriminator));
  if (event.kind == BfdEvent::kSendFailed) {
    all.Set("kind", "sendFailed");
    all.Set("code", ErrnoName(env, event.error));
    return all;
  }
  all.Set("atNs", Napi::BigInt::New(env, event.atNs));
  if (event.kind == BfdEvent::kExpired) {
    all.Set("kind", "expired");
    all.Set("lateUs", MicrosecondsOf(event.lateNs));
    return all;
  }
  all.Set("kind", "packet");
  all.Set("packet", Napi::Buffer<uint8_t>::Copy(env, event.packet.data(), event.size));
  all.Set("source", event.source.Text());
  all.Set("multihop", event.multihop);
  all.Set("ttl", Napi::Number::New(env, event.ttl));
  return all;
}
