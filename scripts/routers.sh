# shellcheck shell=bash
# Sourced by `setup`. The packages of BIRD and FRR start and enable their daemons. We want the programs alone: nobody
# who tries Aether shall find a router running, now or after a boot. What was installed before us stays as its owner has it.

POLICY=${POLICY:-/usr/sbin/policy-rc.d} # asked before a package starts a service (Debian policy, 9.3.3.1)
POLICY_MARK='put here by the set-up of Aether'
# Written before apt begins, and gone once what apt has installed of it is disabled: apt may fail when one of them is
# installed already, and whoever ends us may leave no time. Then the next set-up does it.
ROUTERS=${ROUTERS:-.tools/stamps/routers}

forbid_routers() {
  # One of ours is left over from a set-up that was killed. Anybody else's is left alone.
  if [ -e "$POLICY" ] && ! grep -qs "$POLICY_MARK" "$POLICY"; then return; fi
  cat >"$POLICY" <<END
#!/bin/sh
# $POLICY_MARK; it takes this away when apt is done
for word; do
  case \$word in bird|bird.service|bird6|bird6.service|frr|frr.service) exit 101 ;; esac
done
END
  chmod 755 "$POLICY"
}

allow_routers() { ! grep -qs "$POLICY_MARK" "$POLICY" || rm -f "$POLICY"; }

disable_routers() { # those that stand in $ROUTERS and are installed
  local package unit
  [ -e "$ROUTERS" ] || return 0
  for package in $(<"$ROUTERS"); do
    case $package in bird2) unit=bird ;; *) unit=$package ;; esac
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
      installed|half-configured|triggers-*) ;;
      *) continue ;;
    esac
    if ! command -v systemctl >/dev/null; then update-rc.d "$unit" disable || return; continue; fi
    systemctl --quiet disable "$unit" || return
    [ ! -d /run/systemd/system ] || systemctl stop "$unit" || return
  done
  rm -f "$ROUTERS"
}

install_packages() { # install_packages PACKAGE...: in a subshell, whose EXIT it takes
  local status=0
  trap 'allow_routers; disable_routers' EXIT
  trap 'exit 143' TERM INT
  printf '%s\n' "$@" | grep -xE 'bird2|frr' >>"$ROUTERS"
  forbid_routers
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || status=$?
  disable_routers || return
  return "$status"
}
