// Sysctls of a namespace. /proc/sys/net shows the namespace of the task that looks it up, hence a
// thread which has entered it; all other keys are the host's.
#pragma once
#include <napi.h>

void InitSysctl(Napi::Env env, Napi::Object exports);
