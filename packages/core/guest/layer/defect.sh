# mmdebstrap's hook for the layer of a defect, as root of its user namespace; $1 is the tree. Compiles the kernel module for the
# kernel of the tree. The compilers are only unpacked: what they add to the tree is not written to the image.
set -eu
layer=$1/qmpilot-layer
release=$(ls "$1/lib/modules")
echo 'qmpilot: unpacking the compilers'
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -y install --download-only $(cat "$layer/toolchain") > /dev/null
for package in "$1"/var/cache/apt/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$1"
done
echo "qmpilot: compiling for $release"
chroot "$1" /usr/bin/env LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "release=$release" /bin/sh -euc '
  cd /qmpilot-layer/module
  make -s "KDIR=/lib/modules/$release/build" CC=gcc-12
  strip --strip-debug ./*.ko
  install -D -m 644 -t "/usr/lib/qmpilot/$release" ./*.ko
'
