#!/bin/bash
# Builds the guest's disk image, kernel and initrd: Debian 12 with systemd, made without loop mount or KVM.
# Usage: build.sh FOLDER    (root; FOLDER must not exist yet; network access to a Debian mirror only)
set -euo pipefail

folder=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$folder.work
root=$work/root

rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

packages=(
  linux-image-cloud-amd64 initramfs-tools systemd-sysv dbus systemd-timesyncd libpam-systemd udev kmod
  procps iproute2 sudo curl ca-certificates nodejs
)
# What the initrd needs to find the disk; all of Debian's modules would take seconds to unpack.
# shellcheck disable=SC2016 # expanded by mmdebstrap's shell
initrd_modules='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
  echo MODULES=list >"$1/etc/initramfs-tools/conf.d/guest"
  printf "%s\\n" virtio_pci virtio_blk >"$1/usr/share/initramfs-tools/modules.d/guest"'

mmdebstrap --quiet --variant=minbase --mode=root \
  --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --include="$(IFS=,; echo "${packages[*]}")" \
  --essential-hook="$initrd_modules" \
  bookworm "$root"

cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
cp "$root"/boot/initrd.img-* "$work/initrd"
rm -rf "${root:?}"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

echo guest >"$root/etc/hostname"
echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
: >"$root/etc/machine-id"
# Anything in fstab that is not there makes the system "degraded".
: >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/timesyncd.conf.d"
printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$root/etc/systemd/network/10-eth0.network"
printf '[Time]\nNTP=10.0.2.2\nFallbackNTP=\n' >"$root/etc/systemd/timesyncd.conf.d/host.conf"

for user in ubuntu github-runner; do
  chroot "$root" useradd --create-home --shell /bin/bash "$user"
  echo "$user ALL=(ALL) NOPASSWD:ALL" >"$root/etc/sudoers.d/$user"
  chmod 440 "$root/etc/sudoers.d/$user"
done

install -D -m 644 "$here/exec-agent.cjs" "$root/usr/local/lib/runward-test/exec-agent.cjs"
install -m 644 "$here/exec-agent.service" "$root/etc/systemd/system/exec-agent.service"
chroot "$root" systemctl --quiet enable systemd-networkd systemd-timesyncd exec-agent

# What a test guest does without: each costs a good part of a second of an emulated boot, the generators of every daemon-reload.
units=(
  getty@tty1.service serial-getty@ttyS0.service getty.target
  e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
  modprobe@.service kmod-static-nodes.service systemd-modules-load.service systemd-sysusers.service systemd-update-utmp.service
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
  sys-fs-fuse-connections.mount systemd-pstore.service systemd-network-generator.service systemd-binfmt.service systemd-random-seed.service systemd-sysctl.service
)
for unit in "${units[@]}"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
mkdir -p "$root/etc/systemd/system-generators"
for generator in "$root"/lib/systemd/system-generators/*; do
  ln -s /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
done
modules=(
  kvm kvm_amd kvm_intel aesni_intel crct10dif_pclmul crc32_pclmul ghash_clmulni_intel sha512_ssse3 sha256_ssse3 sha1_ssse3
  efi_pstore qemu_fw_cfg serio_raw evdev button fuse loop dm_mod autofs4
)
printf 'blacklist %s\n' "${modules[@]}" >"$root/etc/modprobe.d/guest.conf"

mke2fs -q -F -t ext4 -E lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 -d "$root" "$work/base.img" 2G >/dev/null
rm -rf "$root"
mv "$work" "$folder"
