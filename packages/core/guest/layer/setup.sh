# Runs the user's setup script in the tree, $1, as root, with a copy of the host's resolv.conf and without services.
set -eu
layer=$1/qmpilot-layer
interpreter=/bin/sh
if [ "$(head -c 2 "$layer/setup")" = '#!' ]; then interpreter=; fi
chmod 755 "$layer/setup"
exec 4>&1
status=$({
  {
    code=0
    chroot "$1" /usr/bin/env -C /root HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $interpreter /qmpilot-layer/setup < /dev/null 2>&1 || code=$?
    echo "$code" >&3
  } | sed -u 's/^/setup: /' >&4
} 3>&1)
if [ "$status" != 0 ]; then
  echo "qmpilot-setup-failed: $status" >&2
  exit 1
fi
