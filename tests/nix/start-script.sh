
# The rest of a start script with the interface of NixOS's qemu-vm.nix, for a Debian guest. The harness writes the settings above:
# qemu_img, qemu, kernel, initrd, image, name, memory, cores, root (disk or tmpfs), shares (on, mounted or off), graphics (on or off),
# efi (off, or the folder of the firmware), tpm (on or off), options.

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

if [ "$efi" != off ]; then
  NIX_EFI_VARS=$(readlink -f "${NIX_EFI_VARS:-$name-efi-vars.fd}")
  # VM needs writable EFI vars
  if ! test -e "$NIX_EFI_VARS"; then
    cp "$efi/OVMF_VARS_4M.fd" "$NIX_EFI_VARS"
    chmod 0644 "$NIX_EFI_VARS"
  fi
fi

if [ "$tpm" = on ]; then
  NIX_SWTPM_DIR=$(readlink -f "${NIX_SWTPM_DIR:-$name-swtpm}")
  mkdir -p "$NIX_SWTPM_DIR"
  swtpm socket --tpmstate dir="$NIX_SWTPM_DIR" --ctrl type=unixio,path="$NIX_SWTPM_DIR"/socket --terminate \
    --pid file="$NIX_SWTPM_DIR"/pid --daemon --tpm2 --log file="$NIX_SWTPM_DIR"/stdout,level=6
fi

cd "$TMPDIR"

drives=()
[ "$root" = disk ] && drives+=(-drive "cache=writeback,file=$NIX_DISK_IMAGE,id=drive1,if=none,index=1,werror=report" -device virtio-blk-pci,bootindex=1,drive=drive1,serial=root)
[ "$root" = tmpfs ] && drives+=(-drive "file=$TMPDIR/store.img,format=raw,id=drive1,if=none,index=1" -device virtio-blk-pci,bootindex=2,drive=drive1)
if [ "$empty_disk" = on ]; then
  test -e empty0.qcow2 || "$qemu_img" create -q -f qcow2 empty0.qcow2 4G
  drives+=(-drive "file=$(pwd)/empty0.qcow2,id=drive2,if=none,index=2,werror=report" -device virtio-blk-pci,drive=drive2)
fi
virtfs=()
[ "$shares" = off ] || virtfs=(
  -virtfs "local,path=/usr/share,security_model=none,mount_tag=nix-store"
  -virtfs "local,path=${SHARED_DIR:-$TMPDIR/xchg},security_model=none,mount_tag=shared"
  -virtfs "local,path=$TMPDIR/xchg,security_model=none,mount_tag=xchg"
)
efis=()
[ "$efi" = off ] || efis=(
  -drive "if=pflash,format=raw,unit=0,readonly=on,file=$efi/OVMF_CODE_4M.fd"
  -drive "if=pflash,format=raw,unit=1,readonly=off,file=$NIX_EFI_VARS"
)
tpms=()
[ "$tpm" = on ] && tpms=(-chardev "socket,id=chrtpm,path=$NIX_SWTPM_DIR/socket" -tpmdev emulator,id=tpm_dev_0,chardev=chrtpm -device tpm-tis,tpmdev=tpm_dev_0)
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
    "${efis[@]}" \
    "${nographic[@]}" \
    "${tpms[@]}" \
    $options \
    $QEMU_OPTS \
    "$@"
