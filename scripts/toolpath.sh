# shellcheck shell=bash
# Sourced. Finds Node and Go also where `sudo` has reset PATH, and puts them in front of it.
# Says nothing when all is well; `toolpath_complain` names what is missing.

NODE_LEAST=20.3.0
GO_LEAST=1.24

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

node_version() { "$1" --version 2>/dev/null | sed 's/^v//'; }
# GOTOOLCHAIN=local: the version of this very binary, without fetching the one a go.mod asks for.
go_version() { (cd / && GOTOOLCHAIN=local "$1" version 2>/dev/null) | sed -n 's/^go version go\([0-9.]*\).*/\1/p'; }

# find_tool NAME LEAST CANDIDATE... → the first executable that is new enough
find_tool() {
  local name=$1 least=$2 candidate version
  shift 2
  for candidate in "$@"; do
    [ -x "$candidate" ] || continue
    version=$("${name}_version" "$candidate")
    if [ -n "$version" ] && at_least "$version" "$least"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

toolpath_home=$HOME
if [ -n "${SUDO_USER-}" ]; then
  toolpath_home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
fi

# Unmatched patterns stay as they are and fail the -x test; newest version last in a glob is
# good enough, since any version from LEAST on will do.
NODE_BIN=$(find_tool node "$NODE_LEAST" "$(command -v node)" /usr/local/bin/node \
  "$toolpath_home"/.nvm/versions/node/*/bin/node "$toolpath_home"/.volta/bin/node \
  "$toolpath_home"/.local/share/fnm/node-versions/*/installation/bin/node \
  "$toolpath_home"/.asdf/installs/nodejs/*/bin/node "$toolpath_home"/.local/bin/node \
  /usr/local/lib/nodejs/*/bin/node /opt/node*/bin/node /snap/bin/node)
GO_BIN=$(find_tool go "$GO_LEAST" "$(command -v go)" /usr/local/go/bin/go \
  "$toolpath_home"/sdk/go*/bin/go "$toolpath_home"/.local/go/bin/go \
  "$toolpath_home"/.asdf/installs/golang/*/go/bin/go /usr/lib/go*/bin/go /opt/go/bin/go /snap/bin/go)

for toolpath_bin in "$GO_BIN" "$NODE_BIN"; do
  [ -n "$toolpath_bin" ] && PATH=$(dirname "$toolpath_bin"):$PATH
done
export PATH

# toolpath_complain node|go → the sentence that says what to do
toolpath_complain() {
  case $1 in
    node) echo "Node.js $NODE_LEAST or newer was not found (PATH, /usr/local, and the usual places below $toolpath_home).
Install it from https://nodejs.org or with nvm, then run this again." ;;
    go) echo "Go $GO_LEAST or newer was not found (PATH, /usr/local/go, /usr/lib/go*, and the usual places below $toolpath_home).
Install it from https://go.dev/dl, then run this again. It builds the pinned etcd and Temporal servers." ;;
  esac
}
