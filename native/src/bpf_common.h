// What the libbpf wrappers share.
#pragma once
#include <napi.h>

#include <cstring>
#include <string>

#include "fd.h"

// Collects what libbpf says on this thread, verifier log included; the last lines are what counts.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  std::string Tail() const;
  void Append(const std::string& text) { text_ += text; }

 private:
  std::string text_;
};

void InstallLibbpfLog();

// Opens a pin and refuses one of another type: `what` is bpf-link, bpf-map or bpf-prog.
SharedFd OpenPin(const std::string& path, const char* what);

void Pin(const Fd& fd, const std::string& path);

// bpf_obj_get_info_by_fd into a zeroed kernel struct.
void ReadInfo(const Fd& fd, void* info, uint32_t size);

// Mounts the bpf file system on a directory that has none; binds `bpfFsMount`, `possibleCpus`.
void InitBpfCommon(Napi::Env env, Napi::Object exports);
