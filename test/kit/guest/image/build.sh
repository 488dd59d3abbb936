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
mmdebstrap --quiet --variant=minbase --mode=root \
  --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --include="$(IFS=,; echo "${packages[*]}")" \
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

# Each of these costs seconds of an emulated boot.
for unit in getty@tty1.service serial-getty@ttyS0.service e2scrub_reap.service e2scrub_all.timer \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

mke2fs -q -F -t ext4 -E lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 -d "$root" "$work/base.img" 2G >/dev/null
rm -rf "$root"
mv "$work" "$folder"
