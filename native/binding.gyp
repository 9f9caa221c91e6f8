{
  "targets": [
    {
      "target_name": "aether_native",
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      "sources": [
        "src/module.cc",
        "src/errors.cc",
        "src/netns.cc",
        "src/sysctl.cc",
        "src/nl_tx.cc",
        "src/nl_socket.cc",
        "src/bpf_common.cc",
        "src/bpf_object.cc",
        "src/bpf_program.cc",
        "src/bpf_map.cc",
        "src/bpf_link.cc",
        "src/mapping.cc",
        "src/ring_reader.cc",
        "src/bfd_address.cc",
        "src/bfd_args.cc",
        "src/bfd_channel.cc",
        "src/bfd_pacer.cc",
        "src/bfd_schedule.cc",
        "src/bfd_sockets.cc",
        "src/bfd_thread.cc"
      ],
      # SWALLOW: while a worker thread is being terminated nothing can be thrown any more.
      "defines": ["NAPI_VERSION=8", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags": ["<!@(pkg-config --cflags libbpf)", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
      "cflags_cc": ["-std=gnu++17"],
      "cflags_cc!": ["-fno-rtti"],
      "libraries": ["<!@(pkg-config --libs libbpf)"],
      # nodelete: the nl-tx thread outlives a worker thread that was the only one to load us.
      "ldflags": ["-Wl,-z,nodelete"]
    }
  ]
}
