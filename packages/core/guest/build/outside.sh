# mmdebstrap's last hook, as root of its user namespace; $1 is the tree. The raw disk is made in a file without a name,
# so that nothing is left behind however this ends.
set -eu
rm -f "$1"/boot/*
exec 3<> "$1/qmpilot-disk"
rm "$1/qmpilot-disk"
truncate -s "$QMPILOT_DISK_SIZE" /proc/self/fd/3
echo 'qmpilot: writing the file system'
PATH=$PATH:/usr/sbin:/sbin
# A bind mount shows the tree without the /proc and /dev that are mounted in it.
unshare -m sh -eu -c '
  mount --bind "$1" "$1/mnt"
  mke2fs -q -F -t ext4 -m 0 -L qmpilot -U 716d7069-6c6f-7400-8000-000000000001 \
    -E lazy_itable_init=0,lazy_journal_init=0,hash_seed=716d7069-6c6f-7400-8000-000000000002 -d "$1/mnt" /proc/self/fd/3
' mke2fs "$1"
echo 'qmpilot: converting the disk to qcow2'
qemu-img convert -q -f raw -O qcow2 /proc/self/fd/3 "$1/qmpilot.qcow2"
