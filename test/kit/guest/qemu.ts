// How the guest's virtual machine is made up. A saved state fits only what `machineFingerprint` covers.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const QEMU = 'qemu-system-x86_64';
/** The guest's name for the host: qemu's user network maps it to the loopback of the namespace that qemu runs in. */
export const HOST_ADDRESS = '10.0.2.2';
export const GUEST_ADDRESS = '10.0.2.15';

const MEMORY_MIB = 512;
const CPUS = 1;

/**
 * `norandmaps`: the emulator keeps translated code by its virtual address, so programs that are always loaded at the same one start four
 * times as fast. `init_on_alloc=0`: the kernel clears no page that is overwritten at once.
 */
const KERNEL_COMMAND_LINE = 'root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off norandmaps init_on_alloc=0';

/** Without the features by which a kernel prefers to clear and copy bytewise: the emulator takes one turn for each byte, five times as long. */
const EMULATED_CPU = 'max,-erms,-fsrm,-la57';

type Accelerator = 'kvm' | 'tcg';

/**
 * A readable `/dev/kvm` alone is no proof: a software KVM (module `kvm_pvm`) runs an unmodified kernel slower than no KVM at all.
 * `RUNWARD_TEST_ACCELERATOR` overrides.
 */
export function accelerator(): Accelerator {
  const forced = process.env['RUNWARD_TEST_ACCELERATOR'];
  if (forced === 'kvm' || forced === 'tcg') return forced;
  const hasVirtualisation = /\b(vmx|svm)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  return hasVirtualisation && !existsSync('/sys/module/kvm_pvm') && isAccessible('/dev/kvm') ? 'kvm' : 'tcg';
}

export interface QemuFiles {
  /** Holds `vmlinuz` and `initrd`. */
  readonly image: string;
  /** The guest's own qcow2 disk. */
  readonly disk: string;
  /** Where the sockets and the console's text go. */
  readonly folder: string;
}

export function qmpSocket(folder: string): string {
  return path.join(folder, 'qmp.sock');
}

export function execSocket(folder: string): string {
  return path.join(folder, 'exec.sock');
}

export function qemuArguments({ image, disk, folder }: QemuFiles): string[] {
  return [
    ...machineArguments(),
    ...['-kernel', path.join(image, 'vmlinuz')],
    ...['-initrd', path.join(image, 'initrd')],
    ...['-append', KERNEL_COMMAND_LINE],
    ...['-serial', `file:${path.join(folder, 'console.log')}`],
    ...['-drive', `file=${disk},if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap`],
    ...['-device', 'virtio-blk-pci,drive=disk'],
    ...['-netdev', 'user,id=net'],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-device', 'virtio-rng-pci'],
    ...['-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,path=${execSocket(folder)},server=on,wait=off,id=exec`],
    ...['-device', 'virtserialport,chardev=exec,name=runward.exec'],
    ...['-qmp', `unix:${qmpSocket(folder)},server=on,wait=off`],
  ];
}

function machineArguments(): string[] {
  const kind = accelerator();
  return [
    ...['-machine', 'q35'],
    // Without tb-size, emulation takes about twice the memory.
    ...['-accel', kind === 'kvm' ? 'kvm' : 'tcg,thread=multi,tb-size=128'],
    ...['-cpu', kind === 'kvm' ? 'host' : EMULATED_CPU],
    ...['-smp', String(CPUS), '-m', String(MEMORY_MIB)],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
  ];
}

/** Changes whenever a running state saved before could not be resumed any more. */
export function machineFingerprint(): string {
  const version = execFileSync(QEMU, ['--version'], { encoding: 'utf8' });
  const arguments_ = qemuArguments({ image: '', disk: '', folder: '' });
  const cpu =
    accelerator() === 'kvm'
      ? readFileSync('/proc/cpuinfo', 'utf8')
          .match(/^(model name|flags).*$/gm)
          ?.slice(0, 2)
      : [];
  return createHash('sha256')
    .update(JSON.stringify([version, arguments_, cpu]))
    .digest('hex')
    .slice(0, 12);
}

function isAccessible(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
