#include <napi.h>

#include "addon_data.h"
#include "bfd_pacer.h"
#include "bpf_common.h"
#include "bpf_link.h"
#include "bpf_map.h"
#include "bpf_object.h"
#include "bpf_program.h"
#include "netns.h"
#include "nl_socket.h"
#include "ring_reader.h"
#include "sysctl.h"

namespace {

Napi::FunctionReference Export(Napi::Object exports, const char* name, Napi::Function constructor) {
  exports.Set(name, constructor);
  return Napi::Persistent(constructor);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InitNetns(env, exports);
  InitSysctl(env, exports);
  InitBpfCommon(env, exports);
  auto* data = new AddonData();
  data->nlSocket = Export(exports, "NlSocket", NlSocket::Define(env));
  data->bpfObject = Export(exports, "BpfObject", BpfObject::Define(env));
  data->bpfProgram = Export(exports, "BpfProgram", BpfProgram::Define(env));
  data->bpfMap = Export(exports, "BpfMap", BpfMap::Define(env));
  data->bpfLink = Export(exports, "BpfLink", BpfLink::Define(env));
  data->ringReader = Export(exports, "RingReader", RingReader::Define(env));
  data->bfdPacer = Export(exports, "BfdPacer", BfdPacer::Define(env));
  env.SetInstanceData(data);
  return exports;
}

}  // namespace

NODE_API_MODULE(aether_native, Init)
