// Network namespaces: work inside one, make one, remove one.
#pragma once
#include <napi.h>

#include <functional>

#include "fd.h"

// Runs `work` on a thread of its own which has entered the namespace `nsFd` (-1: stays) and ends
// afterwards, so that neither the JS thread nor a pool thread can be left behind in it. Blocks.
void InNetns(int nsFd, const std::function<void()>& work);

// Duplicate of an fd that JavaScript may close while the pool still needs it; null for -1.
SharedFd Duplicate(int fd);

void InitNetns(Napi::Env env, Napi::Object exports);
