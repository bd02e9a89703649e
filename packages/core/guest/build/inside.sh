#!/bin/sh
# Runs as root inside the image's tree: makes the initrd, enables services, and masks what only takes time.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
build=/qmpilot-build
release=$(ls /lib/modules)

echo 'qmpilot: making the initrd'
tree=$build/initrd
mkdir -p "$tree/bin" "$tree/modules" "$tree/dev" "$tree/proc" "$tree/root"
cp /bin/busybox "$tree/bin/busybox"
for driver in virtio_pci virtio_blk virtio_console; do
  modprobe -S "$release" --show-depends "$driver"
done | while read -r verb path _; do
  [ "$verb" = insmod ] || continue
  file=${path##*/}
  file=${file%.xz}
  [ -e "$tree/modules/$file" ] && continue
  case $path in
    *.xz) busybox xz -dc "$path" > "$tree/modules/$file" ;;
    *) cp "$path" "$tree/modules/$file" ;;
  esac
  echo "$file" >> "$tree/modules/order"
done
rm -f /boot/initrd.img*
mv "/boot/vmlinuz-$release" /boot/vmlinuz
(cd "$tree" && find . | LC_ALL=C sort | busybox cpio -o -H newc) > /boot/initrd.img 2> /dev/null

echo 'qmpilot: enabling services'
systemctl -q enable qmpilot-shell@hvc0.service qmpilot-shell@hvc1.service serial-getty@ttyS0.service getty@tty1.service
systemctl -q mask $(cat "$build/masked-units")
while read -r folder name; do
  mkdir -p "/etc/$folder"
  ln -s /dev/null "/etc/$folder/$name"
done < "$build/masked-files"
sed -i '/pam_motd\|pam_mail\|pam_lastlog/d' /etc/pam.d/login
passwd -q -d root
ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx

dpkg-query -W -f '${Package} ${Version}\n' > /boot/packages
echo "$release" > /boot/release
rm -rf "$build" /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/log/*.log /var/log/apt
rm -f /etc/resolv.conf /etc/apt/sources.list.d/*
# mmdebstrap undoes these only after the disk has been written: with them no package could start a service in the guest.
rm -f /usr/sbin/policy-rc.d
[ ! -e /sbin/start-stop-daemon.REAL ] || mv -f /sbin/start-stop-daemon.REAL /sbin/start-stop-daemon
ldconfig
# Otherwise the first boot would rebuild catalogues and caches.
touch /etc/.updated /var/.updated
