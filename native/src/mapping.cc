#include "mapping.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include "bpf_common.h"
#include "errors.h"

Napi::Uint8Array MapMemory(Napi::Env env, const Fd& map) {
  bpf_map_info kernel;
  ReadInfo(map, &kernel, sizeof kernel);
  if (kernel.type != BPF_MAP_TYPE_ARRAY || !(kernel.map_flags & BPF_F_MMAPABLE))
    Fail("mmap", EINVAL, "an array made with BPF_F_MMAPABLE is needed");
  size_t size = (static_cast<size_t>(kernel.value_size) + 7) / 8 * 8 * kernel.max_entries;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (memory == MAP_FAILED) Fail("mmap");
  auto unmap = [size](Napi::Env, void* data) { munmap(data, size); };
  auto buffer = Napi::ArrayBuffer::New(env, memory, size, unmap);
  return Napi::Uint8Array::New(env, size, buffer, 0);
}
