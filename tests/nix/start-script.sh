
# The rest of a start script with the interface of NixOS's qemu-vm.nix, for a Debian guest. The harness writes the settings above:
# qemu_img, qemu, kernel, initrd, image, name, memory, cores, root (disk or tmpfs), shares (on or off), graphics (on or off), options.

set -e

NIX_DISK_IMAGE=$(readlink -f "${NIX_DISK_IMAGE:-$disk_image}") || test -z "$NIX_DISK_IMAGE"

if [ "$root" = disk ] && ! test -e "$NIX_DISK_IMAGE"; then
  echo "Disk image do not exist, creating the virtualisation disk image..."
  "$qemu_img" create -q -f qcow2 -b "$image" -F qcow2 "$NIX_DISK_IMAGE"
  echo "Virtualisation disk image created."
fi

# Create a directory for storing temporary data of the running VM.
if [ -z "$TMPDIR" ] || [ -z "$USE_TMPDIR" ]; then
  TMPDIR=$(mktemp -d nix-vm.XXXXXXXXXX --tmpdir)
fi

if [ "$root" = tmpfs ]; then
  echo "Creating Nix store image..."
  "$qemu_img" convert -f qcow2 -O raw "$image" "$TMPDIR"/store.img
  echo "Created Nix store image."
fi

# Create a directory for exchanging data with the VM.
mkdir -p "$TMPDIR/xchg"

cd "$TMPDIR"

drives=()
[ "$root" = disk ] && drives+=(-drive "cache=writeback,file=$NIX_DISK_IMAGE,id=drive1,if=none,index=1,werror=report" -device virtio-blk-pci,bootindex=1,drive=drive1,serial=root)
[ "$root" = tmpfs ] && drives+=(-drive "file=$TMPDIR/store.img,format=raw,id=drive1,if=none,index=1" -device virtio-blk-pci,bootindex=2,drive=drive1)
if [ "$empty_disk" = on ]; then
  test -e empty0.qcow2 || "$qemu_img" create -q -f qcow2 empty0.qcow2 4G
  drives+=(-drive "file=$(pwd)/empty0.qcow2,id=drive2,if=none,index=2,werror=report" -device virtio-blk-pci,drive=drive2)
fi
virtfs=()
[ "$shares" = on ] && virtfs=(-virtfs "local,path=/usr/share/doc,security_model=none,mount_tag=nix-store" -virtfs "local,path=$TMPDIR/xchg,security_model=none,mount_tag=xchg")
nographic=()
[ "$graphics" = on ] || nographic=(-nographic)

# Start QEMU.
exec $qemu -machine accel=kvm:tcg -cpu max \
    -name "$name" \
    -m "$memory" \
    -smp "$cores" \
    -device virtio-rng-pci \
    -net nic,netdev=user.0,model=virtio -netdev user,id=user.0,"$QEMU_NET_OPTS" \
    "${virtfs[@]}" \
    "${drives[@]}" \
    -device virtio-keyboard \
    -usb \
    -device usb-tablet,bus=usb-bus.0 \
    -kernel ${NIXPKGS_QEMU_KERNEL_nixos:-$kernel} \
    -initrd "$initrd" \
    -append "root=/dev/vda rw loglevel=7 sysrq_always_enabled=1 console=tty0 console=ttyS0,115200n8 $QEMU_KERNEL_PARAMS" \
    "${nographic[@]}" \
    $options \
    $QEMU_OPTS \
    "$@"
