# mmdebstrap's setup hook for a layer, as root of its user namespace; $1 is the tree. Unpacks the file system of the layers
# below into the tree, and keeps the configuration that mmdebstrap wrote for apt and dpkg.
set -eu
PATH=$PATH:/usr/sbin:/sbin
layer=$1/qmpilot-layer
echo 'qmpilot: reading the layers below'
qemu-img convert -q -O raw "$layer/parent.qcow2" "$layer/disk.raw"
mkdir "$layer/tree"
debugfs -R "rdump / $layer/tree" "$layer/disk.raw" 2> "$layer/errors"
if grep -v '^debugfs ' "$layer/errors" >&2; then exit 1; fi
cd "$layer/tree"
rm -rf lost+found tmp dev
mkdir -p etc/apt etc/dpkg/dpkg.cfg.d var/lib/apt/lists/partial var/cache/apt/archives/partial
cp -a "$1"/etc/apt/. etc/apt/
cp -a "$1"/etc/dpkg/dpkg.cfg.d/. etc/dpkg/dpkg.cfg.d/
if [ -e "$1/etc/resolv.conf" ]; then cp "$1/etc/resolv.conf" etc/resolv.conf; fi
rm -rf "$1/etc" "$1/var"
mv ./* "$1"/
cd /
rmdir "$layer/tree"
perl "$layer/tree.pl" list "$1" > "$layer/before"
