# mmdebstrap's last hook for a layer; $1 is the tree. Writes what changed in the tree to the file system, or below $2 alone, and
# keeps the difference from the layers below as a qcow2 image.
set -eu
PATH=$PATH:/usr/sbin:/sbin
layer=$1/qmpilot-layer
chroot "$1" dpkg-query -W -f '${Package} ${Version}\n' > "$1/qmpilot-packages"
perl "$layer/tree.pl" commands "$1" "$layer/before" ${2:+"$2"} > "$layer/commands"
echo "qmpilot: writing $(grep -c '^write ' "$layer/commands" || true) files"
debugfs -w -f "$layer/commands" "$layer/disk.raw" > /dev/null 2> "$layer/errors"
if grep -v '^debugfs ' "$layer/errors" > "$layer/errors.txt"; then
  if grep -q 'Could not allocate' "$layer/errors.txt"; then echo 'qmpilot-disk-too-small' >&2; fi
  head -n 20 "$layer/errors.txt" >&2
  exit 1
fi
code=0
e2fsck -fp "$layer/disk.raw" > "$layer/e2fsck" 2>&1 || code=$?
if [ "$code" -gt 1 ]; then cat "$layer/e2fsck" >&2; exit 1; fi
echo 'qmpilot: comparing with the layers below'
qemu-img create -q -f qcow2 -F raw -b disk.raw "$layer/layer.qcow2"
qemu-img rebase -q -F qcow2 -b parent.qcow2 "$layer/layer.qcow2"
mv "$layer/layer.qcow2" "$1/qmpilot.qcow2"
