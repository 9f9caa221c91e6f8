// The memory of a BPF map as a Uint8Array.
#pragma once
#include <napi.h>

#include "fd.h"

// Of an array map made with BPF_F_MMAPABLE: its values, each rounded up to 8 bytes, readable and
// writable. Unmapped when V8 lets go of the ArrayBuffer. Throws Failure.
Napi::Uint8Array MapMemory(Napi::Env env, const Fd& map);
