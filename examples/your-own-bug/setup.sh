#!/bin/sh
# Runs once, as root, while the image is made. No service runs then: units are enabled, not started.
set -eu
# systemd makes the file system on the second drive when the guest boots for the first time, and mounts it.
mkdir -p /srv/www
echo '/dev/vdb /srv/www ext4 x-systemd.makefs 0 0' >> /etc/fstab
mkdir -p /etc/systemd/system/nginx.service.d
printf '[Unit]\nRequiresMountsFor=/srv/www\n' > /etc/systemd/system/nginx.service.d/drive.conf
