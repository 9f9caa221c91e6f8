// PacerSession in, PacerEvent out: the objects of adapters/native/native.ts.
#pragma once
#include <napi.h>

#include "bfd_types.h"

BfdSessionSpec SessionArg(const Napi::CallbackInfo& info, size_t index);
uint32_t DiscriminatorArg(const Napi::CallbackInfo& info, size_t index);
// `name`: of the property, for the error.
BfdPacket PacketArg(Napi::Env env, const Napi::Value& value, const char* name);
Napi::Object EventToJs(Napi::Env env, const BfdEvent& event);
// Whole ones.
inline double MicrosecondsOf(int64_t ns) {
  int64_t us = ns / 1000;
  return static_cast<double>(us);
}
// Null for 0.
Napi::Value ErrnoName(Napi::Env env, int error);
